import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import type { GatewayParts } from "../../src/server/gateway.ts";
import { createGateway, type Gateway } from "../../src/server/gateway.ts";
import { type ServeProcess, serve } from "../support/command-line.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** A gateway that things are done to. */
export interface ChaosNode {
  readonly name: string;
  /** Changes with every start. */
  readonly port: number;
  /** Of the first start, while the installation had no owner. */
  readonly setupCode: string | undefined;
  start(): Promise<void>;
  /** SIGSTOP: connections stay, nothing answers. Only processes have it, and `kill`. */
  pause?(): void;
  resume?(): void;
  kill?(): Promise<void>;
  dispose(): Promise<void>;
}

export interface ChaosNodeOptions {
  readonly name: string;
  readonly store: string;
  readonly storeTimeoutMs: number;
}

export const secret = "a secret that the nodes of a run share";
/** The least that the configuration takes: what is looked for here is not a password. */
const scryptCost = 1_024;

/** `gatehouse serve`, the built program, in a process of its own. */
export function processNode({ name, store, storeTimeoutMs }: ChaosNodeOptions): ChaosNode {
  const folder = temporaryFolder();
  const env = {
    GATEHOUSE_SECRET: secret,
    GATEHOUSE_STORE_TIMEOUT_MS: String(storeTimeoutMs),
    GATEHOUSE_PASSWORD_SCRYPT_N: String(scryptCost),
    GATEHOUSE_PASSWORD_WORKERS: "1",
    GATEHOUSE_LOG_LEVEL: "warn",
  };
  let child: ServeProcess | undefined;
  let port = 0;
  let setupCode: string | undefined;
  const signal = (which: NodeJS.Signals) => {
    if (child !== undefined) process.kill(child.pid, which);
  };
  const kill = async () => {
    const ending = child;
    child = undefined;
    await ending?.kill("SIGKILL");
  };
  return {
    name,
    get port() {
      return port;
    },
    get setupCode() {
      return setupCode;
    },
    async start() {
      child = await serve(["--data", folder.path, "--store", store], { env });
      port = child.port;
      setupCode ??= codeIn(child.setupLink ?? undefined);
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

/** A gateway in this process, which alone can be given other parts than users can. */
export function embeddedNode(options: ChaosNodeOptions, parts: GatewayParts = {}): ChaosNode {
  const folder = temporaryFolder();
  const config: ConfigInput = {
    ...{ port: 0, data: folder.path, secret, store: options.store },
    store_timeout_ms: options.storeTimeoutMs,
    password: { scrypt_n: scryptCost, workers: 1 },
    log: { level: "silent" },
  };
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
    async start() {
      gateway = await createGateway(defineConfig(config), parts);
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

function codeIn(setupLink: string | undefined): string | undefined {
  return setupLink === undefined ? undefined : decodeURIComponent(setupLink.split("#code=")[1] ?? "");
}
