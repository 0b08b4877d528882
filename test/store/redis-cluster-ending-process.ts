import { parseRedisUrl } from "../../src/store/redis/address.ts";
import { connectClient, createClient } from "../../src/store/redis/client.ts";

/**
 * Ends a client of a Cluster while it asks for the slots. The process ends only if nothing of the client is left.
 * Argument: URL.
 */
const [url = ""] = process.argv.slice(2);
const client = createClient(parseRedisUrl(url), {
  commandTimeoutMs: 1_000,
  silenceMs: 20_000,
  reconnects: true,
  findPrimary: async () => {
    throw new Error("a Cluster says itself who has which slot");
  },
});
await connectClient(client, 10_000);
process.stdout.write("connected\n");
const looking = setInterval(() => {
  if (Reflect.get(client, "isRefreshing") !== true) return;
  clearInterval(looking);
  client.once("end", () => process.stdout.write("ended\n"));
  client.disconnect();
}, 10);
