import type { RecordKey } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { say } from "../support/say.ts";

/**
 * A gateway process of its own. It commits as fast as it can and writes one line for each outcome once it knows it: `ok
 * N` or `failed CODE DETAIL`. Arguments: folder, first number, number of concurrent commits.
 */
const [folder = "", first = "0", width = "8"] = process.argv.slice(2);

const store = await openEmbeddedStore({ folder, role: "gateway" });
say(`ready ${process.pid}`);
let next = Number(first);

async function commitOn(): Promise<never> {
  for (;;) {
    const n = next++;
    try {
      const outcome = await store.commit({
        put: [{ key: `acked:${n}` as RecordKey, value: { n, filling: "x".repeat(500) } }],
        log: [{ n }],
      });
      say(outcome.ok ? `ok ${n}` : `failed conflict ${n}`);
    } catch (error) {
      const { code, detail } = error as { readonly code?: string; readonly detail?: string };
      say(`failed ${code} ${detail}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

await Promise.all(Array.from({ length: Number(width) }, commitOn));
