import type { Safeguard } from "../../src/auth/safeguards.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { runGateway } from "../../src/server/process-signals.ts";

/**
 * A gateway in a process of its own with safeguards switched off, which no user can do. Arguments: the configuration
 * and the safeguards, as JSON. Prints how it was started once it serves.
 */
const [config = "{}", disabledSafeguards = "[]"] = process.argv.slice(2);
process.exitCode = await runGateway(defineConfig(JSON.parse(config) as ConfigInput), {
  disabledSafeguards: new Set(JSON.parse(disabledSafeguards) as Safeguard[]),
  announce: (started) => console.log(JSON.stringify(started)),
});
