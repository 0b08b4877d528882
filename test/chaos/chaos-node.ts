import type { Authority } from "../../src/auth/authority.ts";
import type { Safeguard } from "../../src/auth/safeguards.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { createGateway, type Gateway, type GatewayParts } from "../../src/server/gateway.ts";
import { startProcess, type TestProcess } from "../support/child-process.ts";
import { serve } from "../support/command-line.ts";
import { sharedIssuer } from "../support/gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** A gateway that faults are injected into. */
export interface ChaosNode {
  readonly name: string;
  /** Changes with every start. */
  readonly port: number;
  /** From the first start, while the installation had no owner. */
  readonly setupCode: string | undefined;
  /** What its processes wrote, one after the other. */
  readonly output?: string;
  /** Of a running gateway in this process. */
  readonly authority?: Authority | undefined;
  start(): Promise<void>;
  /** SIGSTOP: connections stay, nothing answers. Only processes have this and `kill`. */
  pause?(): void;
  resume?(): void;
  kill?(): Promise<void>;
  dispose(): Promise<void>;
}

export interface ChaosNodeOptions {
  readonly name: string;
  /** Null: the embedded store, in `data`. */
  readonly store: string | null;
  /** A folder that outlives the node. By default it has one of its own, which is removed with it. */
  readonly data?: string;
  /** Variables of its process, in addition to the configuration's. */
  readonly env?: Readonly<Record<string, string>>;
  readonly storeTimeoutMs: number;
  readonly config?: ConfigInput | undefined;
  /** Safeguards that are off: a negative control. */
  readonly disabledSafeguards?: readonly Safeguard[] | undefined;
}

export const secret = "a secret that the nodes of a run share";
/** The configuration's minimum: these tests are not about passwords. */
const scryptCost = 1_024;

interface Running {
  readonly pid: number;
  readonly port: number;
  readonly setupLink: string | undefined;
  readonly output: () => string;
  kill(): Promise<unknown>;
}

/** The built program (`gatehouse serve`) in a process of its own. With safeguards off, the same from its sources. */
export function processNode(options: ChaosNodeOptions): ChaosNode {
  const folder = temporaryFolder();
  const config = configOf(options, folder.path);
  let running: Running | undefined;
  const started: Running[] = [];
  let setupCode: string | undefined;
  const signal = (which: NodeJS.Signals) => {
    if (running !== undefined) process.kill(running.pid, which);
  };
  const kill = async () => {
    const ending = running;
    running = undefined;
    await ending?.kill();
  };
  return {
    name: options.name,
    get port() {
      return running?.port ?? 0;
    },
    get setupCode() {
      return setupCode;
    },
    get output() {
      return started.map(({ output }) => output()).join("-- started again\n");
    },
    async start() {
      running =
        options.disabledSafeguards === undefined
          ? await serveBuilt(config, options.env)
          : await serveWithoutSafeguards(config, options.disabledSafeguards, options.env);
      started.push(running);
      setupCode ??= codeIn(running.setupLink);
    },
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    kill,
    async dispose() {
      await kill();
      folder.remove();
    },
  };
}

/** A gateway in this process, which can be given parts that users cannot replace. */
export function embeddedNode(options: ChaosNodeOptions, parts: GatewayParts = {}): ChaosNode {
  const folder = temporaryFolder();
  let gateway: Gateway | undefined;
  let port = 0;
  let setupCode: string | undefined;
  return {
    name: options.name,
    get port() {
      return port;
    },
    get setupCode() {
      return setupCode;
    },
    get authority() {
      return gateway?.authority;
    },
    async start() {
      const config = defineConfig({ ...configOf(options, folder.path), log: { level: "silent" } });
      gateway = await createGateway(config, {
        ...(options.disabledSafeguards === undefined
          ? {}
          : { disabledSafeguards: new Set(options.disabledSafeguards) }),
        ...parts,
      });
      const started = await gateway.start();
      port = started.port;
      setupCode ??= codeIn(started.setupLink);
    },
    async dispose() {
      await gateway?.stop(0);
      folder.remove();
    },
  };
}

function configOf({ store, data, storeTimeoutMs, config }: ChaosNodeOptions, folder: string): ConfigInput {
  return {
    port: 0,
    data: data ?? folder,
    secret,
    store,
    store_timeout_ms: storeTimeoutMs,
    password: { scrypt_n: scryptCost, workers: 1 },
    log: { level: "warn" },
    trusted_proxies: ["127.0.0.1"],
    ...config,
    tokens: { issuer: sharedIssuer, ...config?.tokens },
  };
}

async function serveBuilt(config: ConfigInput, env: ChaosNodeOptions["env"]): Promise<Running> {
  const child = await serve([], { env: { ...environmentOf(config), ...env } });
  return {
    pid: child.pid,
    port: child.port,
    setupLink: child.setupLink ?? undefined,
    output: () => `${child.output.stdout}${child.output.stderr}`,
    kill: () => child.kill("SIGKILL"),
  };
}

async function serveWithoutSafeguards(
  config: ConfigInput,
  disabledSafeguards: readonly Safeguard[],
  env: ChaosNodeOptions["env"] = {},
): Promise<Running> {
  const child: TestProcess = startProcess({
    script: new URL("./safeguards-off-process.ts", import.meta.url),
    args: [JSON.stringify(config), JSON.stringify(disabledSafeguards)],
    env,
  });
  const started = child.line(/^\{"url":/);
  const line = await Promise.race([
    started,
    child.exited.then((end) => Promise.reject(new Error(`the gateway ended with ${end}: ${child.stderr}`))),
  ]).catch((error: unknown) => {
    child.kill("SIGKILL");
    throw error;
  });
  const { port, setupLink } = JSON.parse(line) as { port: number; setupLink?: string };
  const kill = () => {
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    return child.exited;
  };
  return { pid: child.pid, port, setupLink, output: () => child.stderr, kill };
}

/** Every option has its variable: `password.workers` is GATEHOUSE_PASSWORD_WORKERS. */
function environmentOf(config: ConfigInput): Record<string, string> {
  const variables: [string, string][] = [];
  const collect = (value: unknown, name: string) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) collect(inner, `${name}_${key.toUpperCase()}`);
    } else if (value !== null && value !== undefined) variables.push([name, String(value)]);
  };
  collect(config, "GATEHOUSE");
  return Object.fromEntries(variables);
}

function codeIn(setupLink: string | undefined): string | undefined {
  return setupLink === undefined ? undefined : decodeURIComponent(setupLink.split("#code=")[1] ?? "");
}
