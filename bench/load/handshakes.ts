// The load generator for connections: closed and open model, and sockets that are held.

import { answer, collectGarbage } from "../support/answering.ts";
import { latencies } from "../support/figures.ts";
import { dialectOf } from "./dialects.ts";
import { authenticate, scriptOf } from "./handshake.ts";
import type { RawSocket } from "./raw-socket.ts";

export interface Job {
  readonly port: number;
  readonly dialect: string;
  readonly tokens: readonly string[];
}

/** Closed model: `concurrency` clients, each reconnects as soon as it was authenticated. */
export interface ClosedJob extends Job {
  readonly concurrency: number;
  /** How clients leave: with a FIN (the default) or with a RST. */
  readonly leaving?: "fin" | "rst";
}

/** Open model: arrivals at a fixed rate, whatever the server does. */
export interface OpenJob extends Job {
  readonly perSecond: number;
}

const held: RawSocket[] = [];
let opened = 0;

function prepared({ dialect: name, tokens, port }: Job) {
  const dialect = dialectOf(name);
  const scripts = tokens.map((token) => scriptOf(dialect, token));
  return { target: { port, dialect }, scripts };
}

/** Total seconds, and the milliseconds of each. */
async function closed(job: ClosedJob, keep: boolean) {
  const { target, scripts } = prepared(job);
  collectGarbage();
  const took: number[] = [];
  const started = performance.now();
  let next = 0;
  const worker = async () => {
    for (let nth = next++; nth < scripts.length; nth = next++) {
      const script = scripts[nth];
      if (script === undefined) return;
      const from = performance.now();
      const socket = await authenticate(target, script, opened++);
      took.push(performance.now() - from);
      if (keep) held.push(socket);
      else socket.destroy(job.leaving);
    }
  };
  await Promise.all(Array.from({ length: job.concurrency }, worker));
  return { seconds: (performance.now() - started) / 1000, latencies: latencies(took) };
}

/**
 * Each latency counts from when the connection was due, not from when it was begun. So if the server, or this process,
 * stalls, every client that was due meanwhile counts (no coordinated omission).
 */
async function open(job: OpenJob) {
  const { target, scripts } = prepared(job);
  collectGarbage();
  const took: number[] = [];
  const pending: Promise<void>[] = [];
  const started = performance.now();
  const dueAt = (nth: number) => started + (nth * 1000) / job.perSecond;
  for (let nth = 0; nth < scripts.length; ) {
    const now = performance.now();
    for (; nth < scripts.length && dueAt(nth) <= now; nth += 1) {
      const script = scripts[nth];
      const due = dueAt(nth);
      if (script === undefined) continue;
      pending.push(
        authenticate(target, script, opened++).then((socket) => {
          took.push(performance.now() - due);
          socket.destroy();
        }),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
  return { seconds: (performance.now() - started) / 1000, latencies: latencies(took) };
}

answer(
  { port: 0, version: "" },
  {
    closed: (job: ClosedJob) => closed(job, false),
    open: (job: OpenJob) => open(job),
    hold: (job: ClosedJob) => closed(job, true),
    drop() {
      for (const socket of held) socket.destroy();
      held.length = 0;
    },
  },
);
