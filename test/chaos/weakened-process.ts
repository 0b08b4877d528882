import type { Protection } from "../../src/auth/protections.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { createGateway } from "../../src/server/gateway.ts";

/**
 * A gateway in a process of its own with protections switched off, which no user can do. Arguments: the configuration
 * and the protections, as JSON. Prints `{port, setupLink}` once it serves.
 */
const [config = "{}", weakened = "[]"] = process.argv.slice(2);
const gateway = await createGateway(defineConfig(JSON.parse(config) as ConfigInput), {
  weakened: new Set(JSON.parse(weakened) as Protection[]),
});
console.log(JSON.stringify(await gateway.start()));
