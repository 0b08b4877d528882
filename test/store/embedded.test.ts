import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { readState, writeState } from "../../src/store/embedded/state.ts";
import { StoreFile } from "../../src/store/embedded/store-file.ts";
import { numberKey } from "../../src/store/embedded/tables.ts";
import { storeContract } from "../contract/store.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

storeContract({
  name: "embedded",
  capabilities: { shared: true, restarts: true },
  durability: "fsync",
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
      loseLast: () => loseLast(folder.path),
      dispose: async () => {
        await store.close();
        folder.remove();
      },
    };
  },
});

async function loseLast(folder: string): Promise<void> {
  const file = await StoreFile.open(folder);
  await file.transact((tables) => {
    const state = readState(tables);
    tables.log.removeSync(numberKey(state.logHead));
    writeState(tables, { ...state, logHead: state.logHead - 1 });
  });
  await file.close();
}
