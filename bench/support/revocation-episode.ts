import type { Answer } from "../../test/chaos/chaos-socket.ts";
import { type DirectedRun, nodeAt, succeeded } from "../../test/chaos/directed-run.ts";
import type { RecordedSocket } from "../../test/chaos/recorded-socket.ts";
import { inTurns, type LongLived, openMany } from "../../test/faults/many-sessions.ts";
import { wait } from "../../test/faults/timed-socket.ts";
import { eventually } from "../../test/support/eventually.ts";
import { within } from "../../test/support/within.ts";
import { type BusySocket, openBusySocket } from "./busy-socket.ts";

/** Milliseconds since the answer to one revoke; below 0: before it. */
export interface Delay {
  /** Until the socket was closed, or until it sent the command that was never answered, if that was before. */
  readonly effective: number;
  readonly closed: number;
  /** From the end of the fault to the close; undefined if the socket was closed before that. */
  readonly afterwards: number | undefined;
}

export interface Episode {
  readonly revokeAt: number;
  readonly holdAt: number;
  /** Sockets, each with a session of its own, that are revoked one after the other. */
  readonly sockets: number;
  /** How many of these are revoked just before the fault. */
  readonly early?: number;
  /** From a revoke's answer to the next revoke, ms. */
  readonly everyMs: number;
  /** Duration of the fault. */
  readonly lastsMs?: number;
  /** The other revokes come after the fault; without it, during the fault. */
  readonly late?: true;
}

const closedWithinMs = 60_000;
const answeredWithinMs = 30_000;
/** Faults begin at any moment between two heartbeats. */
const heartbeatMs = 750;

/** Runs the episode once. `inflict` begins a fault and returns the function that ends it. */
export async function play(
  run: DirectedRun,
  episode: Episode,
  inflict?: () => Promise<() => Promise<unknown>>,
): Promise<readonly Delay[]> {
  const { revokeAt, holdAt, sockets: count, early = 0, everyMs, lastsMs = 0 } = episode;
  await allReady(run);
  const { recorded } = await run.logIn("anna", revokeAt);
  const devices = await openMany(recorded.socket, count);
  const { port } = nodeAt(run.context, holdAt);
  const sockets = await inTurns(devices, ({ token }) => openPatiently(port, token));
  const revokeSome = (from: number, to: number) => revokeAll(recorded, devices.slice(from, to), everyMs);

  await wait(Math.random() * heartbeatMs);
  const answers = await revokeSome(0, early);
  const heal = await inflict?.();
  const began = performance.now();
  if (!episode.late) answers.push(...(await revokeSome(early, count)));
  if (heal !== undefined) await wait(Math.max(0, lastsMs - (performance.now() - began)));
  const healedAt = performance.now();
  await heal?.();
  if (episode.late) answers.push(...(await revokeSome(early, count)));
  const delays = await delaysOf(sockets, answers, healedAt);
  recorded.socket.drop();
  return delays;
}

/** The effects of the previous fault have ended. */
async function allReady({ context }: DirectedRun): Promise<void> {
  for (const { port } of context.nodes) {
    await eventually(
      "it to hold",
      async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200,
    );
  }
}

/** Retries, as clients do after `unavailable`. */
async function openPatiently(port: number, token: string): Promise<BusySocket> {
  let opened: BusySocket | undefined;
  await eventually("it to hold", async () => {
    opened = await openBusySocket(port, token).catch(() => undefined);
    return opened !== undefined;
  });
  if (opened === undefined) throw new Error("no socket");
  return opened;
}

/** When each was answered. */
async function revokeAll(
  recorded: RecordedSocket,
  devices: readonly LongLived[],
  everyMs: number,
): Promise<number[]> {
  const answers: number[] = [];
  for (const { session } of devices) {
    answers.push(await revoked(recorded, session));
    await wait(everyMs);
  }
  return answers;
}

/** Repeats until it is acknowledged: a node without its store refuses, and may be asked again. */
async function revoked({ socket }: RecordedSocket, session: string): Promise<number> {
  const deadline = performance.now() + answeredWithinMs;
  for (let tries = 1; ; tries += 1) {
    const answer = await socket.request("auth/delete_refresh_token", { refresh_token_id: session });
    // A revoke that was refused as unavailable may have been committed all the same: then there is nothing left to
    // delete.
    if (succeeded(answer) || (tries > 1 && codeOf(answer) === "invalid_token_id")) return performance.now();
    if (performance.now() > deadline || codeOf(answer) !== "unavailable")
      throw new Error(`not revoked: ${JSON.stringify(answer)}`);
    await wait(10);
  }
}

function codeOf(answer: Answer): unknown {
  if (answer.kind !== "answer") return undefined;
  return (answer.message.error as { readonly code?: unknown } | undefined)?.code;
}

async function delaysOf(
  sockets: readonly BusySocket[],
  answers: readonly number[],
  healedAt: number,
): Promise<readonly Delay[]> {
  const all = Promise.all(sockets.map(({ ended }) => ended));
  const ends = await within(all, "revoked sockets to be closed", closedWithinMs);
  return ends.map(({ unservedFrom, closedAt }, nth) => {
    const answeredAt = answers[nth] ?? Number.NaN;
    return {
      effective: unservedFrom - answeredAt,
      closed: closedAt - answeredAt,
      afterwards: closedAt > healedAt ? closedAt - healedAt : undefined,
    };
  });
}
