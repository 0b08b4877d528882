import { setTimeout as wait } from "node:timers/promises";

import { Random } from "../chaos/random.ts";
import { startProcess } from "../support/child-process.ts";
import { gatehouse, gatehouseJson, serve } from "../support/command-line.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { type Attack, attacks } from "./attackers.ts";
import type { Watched } from "./bystander.ts";

export interface FuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly transport: "ws" | "uws";
  /** Default: mutations. */
  readonly attack?: keyof typeof attacks;
  /** Connections under attack at once. */
  readonly parallel: number;
  /** Most bytes a second that go out, of all attackers. */
  readonly bytesPerSecond?: number;
}

export interface FuzzResult {
  readonly connections: number;
  readonly bytes: number;
  readonly pings: Watched["pings"];
  readonly served: Watched["served"];
  /** What must not happen: faults of the bystander, defects in the log, a gateway that ended. */
  readonly faults: readonly string[];
}

const password = "correct horse battery";
const env = { GATEHOUSE_PASSWORD_SCRYPT_N: "16384", GATEHOUSE_LIMITS_SHUTDOWN_GRACE_MS: "200" };

/** A built gateway in a process of its own under mutated input, with a bystander. Everything follows from the seed but time. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const folder = temporaryFolder();
  const where = ["--data", folder.path];
  const add = (...more: readonly string[]) =>
    gatehouse(["users", "add", ...more, "--password-stdin", ...where], { stdin: `${password}\n`, env });
  await add("Paula", "--username", "paula", "--owner");
  await add("Mallory", "--username", "mallory");
  const gateway = await serve([...where, "--transport", options.transport], { env });
  try {
    const [owner, member] = await Promise.all(
      ["paula", "mallory"].map(async (user) => {
        const issue = ["tokens", "issue", "--user", user, "--name", "fuzz", ...where];
        return (await gatehouseJson<{ access_token: string }>(issue, { env })).access_token;
      }),
    );
    if (owner === undefined || member === undefined) throw new Error("no tokens");
    const bystander = startProcess({
      script: new URL("./bystander-process.ts", import.meta.url),
      args: [String(gateway.port), String(gateway.pid), owner],
    });
    await bystander.line(/^watching$/);
    const { connections, bytes } = await attackAll({ port: gateway.port, accessToken: member }, options);
    bystander.kill("SIGTERM");
    const { pings, served, ...watched } = JSON.parse(await bystander.line(/^\{/)) as Watched;
    const end = await Promise.race([gateway.exited, wait(100, "runs" as const)]);
    const faults = [...watched.faults, ...defectsIn(gateway.output.stderr)];
    if (end !== "runs") faults.push(`the gateway ended with ${end}`);
    return { connections, bytes, pings, served, faults };
  } finally {
    await gateway.kill("SIGKILL");
    folder.remove();
  }
}

async function attackAll(
  target: { readonly port: number; readonly accessToken: string },
  { seed, seconds, parallel, attack = "mutations", bytesPerSecond = Number.POSITIVE_INFINITY }: FuzzOptions,
) {
  const random = new Random(seed);
  const end = performance.now() + seconds * 1_000;
  let connections = 0;
  let bytes = 0;
  const attacker = async (own: Random) => {
    while (performance.now() < end) {
      bytes += await own.pick<Attack>(attacks[attack])(target, own);
      connections += 1;
      const elapsed = (seconds * 1_000 - (end - performance.now())) / 1_000;
      const ahead = bytes / bytesPerSecond - elapsed;
      if (ahead > 0) await wait(ahead * 1_000);
    }
  };
  await Promise.all(Array.from({ length: parallel }, (_, n) => attacker(random.fork(String(n)))));
  return { connections, bytes };
}

/** What the gateway itself calls a defect, or logs as an error. */
function defectsIn(log: string): readonly string[] {
  return log
    .split("\n")
    .filter((line) => /"level":"(?:error|fatal)"/.test(line))
    .map((line) => line.slice(0, 500));
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
