import { createServer } from "node:http";

import type { Safeguard } from "../../src/auth/safeguards.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import { runGateway } from "../../src/server/process-signals.ts";

// A gateway as a process of its own. Arguments: its options and the disabled safeguards, both as JSON. Prints its port
// to standard output.
const config = defineConfig(JSON.parse(process.argv[2] ?? "{}"));
const disabledSafeguards = new Set<Safeguard>(JSON.parse(process.argv[3] ?? "[]"));

const code = await runGateway(config, {
  disabledSafeguards,
  announce(started, gateway) {
    // Lets the test cause faults inside the process.
    const trouble = createServer((request, response) => {
      if (request.url === "/rejection") void Promise.reject(new Error("nobody handles this"));
      if (request.url === "/exception") setImmediate(() => throwIt());
      response.end(String(gateway.health.live().transport));
    }).listen(0, "127.0.0.1", () => {
      const address = trouble.address();
      const port = typeof address === "object" ? address?.port : 0;
      console.log(JSON.stringify({ ...started, trouble: port }));
    });
    trouble.unref();
  },
});
console.log(`ended ${code}`);
process.exit(code);

function throwIt(): never {
  throw new Error("nobody catches this");
}
