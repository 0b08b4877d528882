import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { type Child, startChild } from "./child.ts";
import type { Absent } from "./result.ts";

/** A server that takes part, and how clients talk to it. */
export interface Entrant {
  readonly name: string;
  /** `servers/NAME.js` of the bundle, or `peers/.built/NAME.js`. */
  readonly file: string;
  readonly args?: readonly string[];
  readonly dialect: string;
  readonly peer?: true;
}

export interface Running {
  readonly entrant: Entrant;
  readonly server: Child;
}

const gatehouse = (transport: string): Entrant => ({
  name: `gatehouse ${transport}`,
  file: "gatehouse",
  args: [transport],
  dialect: "home-assistant",
});
const bare = (library: string): Entrant => ({
  name: `bare ${library}`,
  file: "bare",
  args: [library],
  dialect: "home-assistant",
});
const peer = (name: string, file: string, more: Partial<Entrant> = {}): Entrant => ({
  name,
  file,
  dialect: file,
  peer: true,
  ...more,
});

export const entrants = {
  bareUws: bare("uws"),
  gatehouseUws: gatehouse("uws"),
  bareWs: bare("ws"),
  gatehouseWs: gatehouse("ws"),
  socketIo: peer("Socket.IO", "socket-io"),
  socketIoUws: peer("Socket.IO on uws", "socket-io-uws", { dialect: "socket-io" }),
  socketCluster: peer("SocketCluster", "socketcluster"),
  graphqlWs: peer("graphql-ws", "graphql-ws"),
  graphqlWsUws: peer("graphql-ws on uws", "graphql-ws-uws", { dialect: "graphql-ws" }),
  feathers: peer("Feathers", "feathers"),
  natsToken: peer("nats-server, token", "nats"),
  natsJwt: peer("nats-server, JWT", "nats", { args: ["jwt"], dialect: "nats-jwt" }),
  mosquitto: peer("mosquitto, password", "mosquitto"),
} as const;

// `.build/bench.mjs` runs everything from the repository's root.
const bundle = path.resolve("dist/bench");
const peersFolder = path.resolve("bench/peers");

export function fileOf({ file, peer }: Pick<Entrant, "file" | "peer">): string {
  return peer === undefined
    ? path.join(bundle, "servers", `${file}.js`)
    : path.join(peersFolder, ".built", `${file}.js`);
}

/** `--NAME VALUE` of the command line. */
export function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

export function flag(name: string): boolean {
  return process.argv.includes(`--${name}`);
}

export interface Selection {
  readonly asked: readonly Entrant[];
  readonly absent: readonly Absent[];
}

/**
 * The contenders that take part. Peers that cannot are listed with the reason. `--no-peers` leaves the peers out, and
 * reports that. `--only TEXT,TEXT` selects contenders whose name contains one of the texts.
 */
export function select(wanted: readonly Entrant[]): Selection {
  const only = option("only")?.split(",");
  const asked = wanted.filter(({ name }) => only?.some((text) => name.includes(text)) ?? true);
  const fault = asked.some(({ peer }) => peer) ? preparePeers() : undefined;
  if (fault === undefined) return { asked, absent: [] };
  return {
    asked: asked.filter(({ peer }) => peer === undefined),
    absent: asked.filter(({ peer }) => peer).map(({ name }) => ({ name, reason: fault })),
  };
}

export async function start(entrant: Entrant, moreArgs: readonly string[] = []): Promise<Child> {
  return await startChild(fileOf(entrant), { on: "servers", args: [...(entrant.args ?? []), ...moreArgs] });
}

/** The line in the table for a contender whose process failed. */
export function absentFor(entrant: Entrant, error: unknown): Absent {
  return { name: entrant.name, reason: String((error as Error).message).split("\n")[0] ?? "" };
}

/** Starts all selected contenders, one after the other. Those that cannot be started are listed with the reason. */
export async function startAll(
  wanted: readonly Entrant[],
): Promise<{ readonly running: readonly Running[]; readonly absent: readonly Absent[] }> {
  const { asked, absent: withoutPackages } = select(wanted);
  const running: Running[] = [];
  const absent: Absent[] = [...withoutPackages];
  for (const entrant of asked) {
    try {
      running.push({ entrant, server: await start(entrant) });
    } catch (error) {
      absent.push(absentFor(entrant, error));
    }
  }
  return { running, absent };
}

/**
 * Peers are not dependencies of the gateway. They are installed from their own lockfile when a benchmark needs them.
 */
export function preparePeers(): string | undefined {
  if (flag("no-peers")) return "left out with --no-peers";
  if (existsSync(path.join(peersFolder, "node_modules/.package-lock.json"))) return undefined;
  console.log("installing the peers (bench/peers) ...");
  const { status, stderr } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: peersFolder,
    encoding: "utf8",
  });
  return status === 0 ? undefined : `could not be installed: ${stderr.trim().split("\n").at(-1) ?? status}`;
}

export async function startLoad(name: string): Promise<Child> {
  return await startChild(path.join(bundle, "load", `${name}.js`), { on: "load" });
}

export async function stopAll(running: readonly Running[]): Promise<void> {
  for (const { server } of running) await server.stop();
}
