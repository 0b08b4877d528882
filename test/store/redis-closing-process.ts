import { openRedisStore } from "../../src/store/redis/redis-store.ts";

/** Uses a Redis store and closes it. The process ends only if nothing of the store is left. Argument: URL. */
const [url = ""] = process.argv.slice(2);
const store = await openRedisStore({ url, timeoutMs: 2_000 });
const follower = store.follow(Date.now() - 1_000, () => undefined);
await follower.caughtUp;
store.follow(Date.now(), () => undefined);
await store.health();
await store.commit({ log: [{ n: 1 }] });
await store.close();
process.stdout.write("closed\n");
