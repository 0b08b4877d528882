import type { Protection } from "../../src/auth/protections.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { runGateway } from "../../src/server/lifecycle.ts";

/**
 * A gateway in a process of its own with protections switched off, which no user can do. Arguments: the configuration
 * and the protections, as JSON. Prints how it was started once it serves.
 */
const [config = "{}", weakened = "[]"] = process.argv.slice(2);
process.exitCode = await runGateway(defineConfig(JSON.parse(config) as ConfigInput), {
  weakened: new Set(JSON.parse(weakened) as Protection[]),
  announce: (started) => console.log(JSON.stringify(started)),
});
