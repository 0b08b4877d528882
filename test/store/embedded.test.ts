import { expect, it } from "vitest";

import type { IndexKey } from "../../src/auth/store.ts";
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

it("counts the members of an index that a version without counts has written", async () => {
  const folder = temporaryFolder();
  const open = () => openEmbeddedStore({ folder: folder.path, role: "gateway" });
  const index = "kept" as IndexKey;
  const links = (...members: string[]) => members.map((member) => ({ index, member }));
  const before = await open();
  await before.commit({ link: links("a", "b", "c") });
  await before.close();
  const file = await StoreFile.open(folder.path);
  await file.transact((tables) => tables.members.removeSync(Buffer.from(index)));
  await file.close();

  const store = await open();
  const count = async () => {
    for (let least = 0; least <= 10; least += 1) if (!(await store.hasMoreThan(index, least))) return least;
    return undefined;
  };
  expect(await count()).toBe(3);
  await store.commit({ link: links("c", "d") });
  expect(await count()).toBe(4);
  await store.commit({ unlink: links("a", "never") });
  expect(await count()).toBe(3);
  expect(await store.list(index, { limit: 10 })).toEqual(["b", "c", "d"]);
  await store.close();
  folder.remove();
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
