import { createServer } from "node:http";

import type { Safeguard } from "../../src/auth/safeguards.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import { runGateway } from "../../src/server/lifecycle.ts";

// A gateway as a process of its own: arguments are its options and the protections that are switched off, both as JSON;
// standard output says where it listens.
const config = defineConfig(JSON.parse(process.argv[2] ?? "{}"));
const disabledSafeguards = new Set<Safeguard>(JSON.parse(process.argv[3] ?? "[]"));

const code = await runGateway(config, {
  disabledSafeguards,
  announce(started, gateway) {
    // A way in for the test to break things from inside.
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
