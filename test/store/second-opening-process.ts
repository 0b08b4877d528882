import type { RecordKey } from "../../src/auth/store.ts";
import { embeddedLockHolder, openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { say } from "../support/say.ts";

/**
 * A command beside the gateway, as `gatehouse revoke` is. It opens the store, and asks who serves from it. After SIGUSR2 it
 * reads, writes and closes. Argument: folder.
 */
const [folder = ""] = process.argv.slice(2);
const asked = new Promise((resolve) => process.once("SIGUSR2", resolve));
const staysAlive = setInterval(() => undefined, 1_000);

const store = await openEmbeddedStore({ folder, role: "cli" });
await store.get(["kept:1" as RecordKey]);
say(`opened, holder ${(await embeddedLockHolder(folder))?.pid}`);
await asked;
await store.get(["kept:1" as RecordKey]);
await store.commit({ put: [{ key: "kept:2" as RecordKey, value: {} }] });
await store.close();
clearInterval(staysAlive);
