import { startNode } from "../support/gateway.ts";
import { outsideProvider } from "../support/outside-provider.ts";

/** A node as a process of its own whose only provider is completed externally; prints its port. */
const [store = ""] = process.argv.slice(2);
const { port } = await startNode({ store }, { providers: () => [outsideProvider("paula")] });
console.log(`port ${port}`);
