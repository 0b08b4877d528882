import type { Safeguard } from "../../src/auth/safeguards.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import type { GatewayParts } from "../../src/server/gateway.ts";
import { type CommandResult, gatehouse } from "../support/command-line.ts";
import { type ChaosNode, type ChaosNodeOptions, embeddedNode, processNode, secret } from "./chaos-node.ts";
import { type DeploymentStore, embedded, standalone } from "./deployment-store.ts";
import { cluster, sentinels } from "./replicated-store.ts";
import type { Fault, FaultKind } from "./schedule.ts";
import { type SplitStoreOptions, split } from "./split-store.ts";

export const shapes = ["standalone", "sentinel", "split", "cluster", "embedded"] as const;
export type Shape = (typeof shapes)[number];
export const isShape = (text: string): text is Shape => shapes.some((shape) => shape === text);

export interface DeploymentOptions {
  readonly shape: Shape;
  /** One if the store is embedded. */
  readonly nodes: number;
  readonly storeTimeoutMs: number;
  /** If given, the nodes run in this process, all with these parts or each with its own. */
  readonly embedded?: GatewayParts | ((node: number) => GatewayParts);
  /** Safeguards that are off in every node: a negative control. */
  readonly disabledSafeguards?: readonly Safeguard[];
  readonly config?: ConfigInput;
  /** For the topology `split`. */
  readonly split?: SplitStoreOptions;
}

/** Ends a fault. If the store lost data, `forgotSince` says from when on. */
export type Heal = () => Promise<{ readonly forgotSince?: number }>;

/** Gateways on one store, each with a network of its own if the topology has one. */
export interface Deployment {
  readonly nodes: readonly ChaosNode[];
  readonly can: ReadonlySet<FaultKind>;
  readonly store: DeploymentStore;
  injectFault(fault: Fault): Promise<Heal>;
  /** The command line on the same store, without faults in between, or on a named one. */
  gatehouse(args: readonly string[], store?: string): Promise<CommandResult>;
  dispose(): Promise<void>;
}

const stores = {
  standalone,
  sentinel: sentinels,
  cluster,
  embedded,
  split: (options: DeploymentOptions) => split(options.split),
};

export async function startDeployment(options: DeploymentOptions): Promise<Deployment> {
  if (options.shape === "embedded" && options.nodes !== 1)
    throw new TypeError("an embedded store has one node");
  const store = await stores[options.shape](options);
  const nodes: ChaosNode[] = [];
  const dispose = async () => {
    await Promise.all(nodes.map((node) => node.dispose()));
    await store.dispose();
  };
  try {
    for (let at = 0; at < options.nodes; at += 1) {
      const parts = typeof options.embedded === "function" ? options.embedded(at) : options.embedded;
      const node = nodeOf({ name: `n${at}`, ...(await store.placeFor(at)) }, options, parts);
      nodes.push(node);
      await node.start();
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  const ofProcesses: readonly FaultKind[] = options.embedded ? [] : ["pause", "kill"];
  return {
    nodes,
    store,
    can: new Set([...store.can, ...ofProcesses]),
    async injectFault(fault) {
      if (fault.kind !== "pause" && fault.kind !== "kill") return await store.injectFault(fault);
      return await inflictOn(nodes[fault.node], fault.kind);
    },
    gatehouse: (args, url) =>
      gatehouse([...args, ...(url === undefined ? store.reach : ["--store", url])], {
        env: { GATEHOUSE_SECRET: secret },
      }),
    dispose,
  };
}

function nodeOf(
  place: Pick<ChaosNodeOptions, "name" | "store" | "data" | "env">,
  { storeTimeoutMs, disabledSafeguards, config }: DeploymentOptions,
  parts: GatewayParts | undefined,
): ChaosNode {
  const about = {
    ...place,
    storeTimeoutMs,
    disabledSafeguards,
    config,
  };
  return parts === undefined ? processNode(about) : embeddedNode(about, parts);
}

async function inflictOn(node: ChaosNode | undefined, kind: "pause" | "kill"): Promise<Heal> {
  if (kind === "pause") {
    node?.pause?.();
    return async () => {
      node?.resume?.();
      return {};
    };
  }
  await node?.kill?.();
  return async () => {
    await retried(async () => node?.start());
    return {};
  };
}

/** A node that starts without its store gives up; the service manager starts it again. */
async function retried(start: () => Promise<unknown>, deadlineMs = 120_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    try {
      await start();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
