import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { storeContract } from "../contract/store.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

storeContract({
  name: "embedded",
  capabilities: { shared: true, restarts: true },
  create: async () => {
    const folder = temporaryFolder();
    const open = (role: "gateway" | "cli") => openEmbeddedStore({ folder: folder.path, role });
    let store = await open("gateway");
    return {
      store,
      another: () => open("cli"),
      restart: async () => {
        await store.close();
        store = await open("gateway");
        return store;
      },
      dispose: async () => {
        await store.close();
        folder.remove();
      },
    };
  },
});
