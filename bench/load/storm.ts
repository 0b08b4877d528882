// The load generator for a reconnect storm: many clients lose their sockets at once and all reconnect.

import { answer, collectGarbage } from "../support/answering.ts";
import { latencies } from "../support/figures.ts";
import { type Dialect, dialectOf } from "./dialects.ts";
import { authenticate, type Script, scriptOf } from "./handshake.ts";
import type { RawSocket } from "./raw-socket.ts";

export interface Clients {
  readonly port: number;
  readonly dialect: string;
  readonly tokens: readonly string[];
}

export interface Storm {
  /** A client that is not back by then is given up. */
  readonly withinMs: number;
  /** Each client's first attempt comes after a random part of this. 0: all in the same tick. */
  readonly spreadMs: number;
}

export interface StormOutcome {
  readonly back: number;
  /** Seconds from the drop until this share of clients was back; null if they were not. */
  readonly half: number | null;
  readonly most: number | null;
  readonly all: number | null;
  /** 99th percentile of successful attempts, from TCP connect to authenticated, ms. */
  readonly authP99: number;
  /** Failed attempts by their reason. Each was followed by another attempt while there was time. */
  readonly failures: Readonly<Record<string, number>>;
}

const connecting = 64;
/** A client whose attempt failed retries after a random part of this. */
const RETRY_MS = 1_000;

let opened = 0;
let target: { readonly port: number; readonly dialect: Dialect } | undefined;
let scripts: readonly Script[] = [];
let sockets: (RawSocket | undefined)[] = [];

function connectOnce(nth: number): Promise<RawSocket> {
  const script = scripts[nth];
  if (target === undefined || script === undefined) throw new Error("no clients");
  return authenticate(target, script, opened++);
}

async function hold({ port, dialect: name, tokens }: Clients): Promise<void> {
  const dialect = dialectOf(name);
  target = { port, dialect };
  scripts = tokens.map((token) => scriptOf(dialect, token));
  sockets = [];
  let next = 0;
  const worker = async () => {
    for (let nth = next++; nth < scripts.length; nth = next++) sockets[nth] = await connectOnce(nth);
  };
  await Promise.all(Array.from({ length: connecting }, worker));
}

async function storm({ withinMs, spreadMs }: Storm): Promise<StormOutcome> {
  collectGarbage();
  const took: number[] = [];
  const backAfter: number[] = [];
  const failures: Record<string, number> = {};
  for (const socket of sockets) socket?.destroy();
  sockets = [];
  // Lets the operating system free the sockets closed above before the first client reconnects.
  await new Promise((resolve) => setImmediate(resolve));
  const dropped = performance.now();
  const left = () => withinMs - (performance.now() - dropped);
  const comeBack = async (nth: number): Promise<void> => {
    if (spreadMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * spreadMs));
    for (;;) {
      const from = performance.now();
      try {
        sockets[nth] = await inTime(connectOnce(nth), left());
        took.push(performance.now() - from);
        backAfter.push((performance.now() - dropped) / 1000);
        return;
      } catch (error) {
        const reason = (error as Error).message;
        failures[reason] = (failures[reason] ?? 0) + 1;
        if (left() <= RETRY_MS) return;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * RETRY_MS));
      }
    }
  };
  await Promise.all(scripts.map((_, nth) => comeBack(nth)));
  const share = (part: number) => backAfter[Math.ceil(part * scripts.length) - 1] ?? null;
  return {
    back: backAfter.length,
    half: share(0.5),
    most: share(0.99),
    all: share(1),
    authP99: latencies(took).p99,
    failures,
  };
}

async function inTime(attempt: Promise<RawSocket>, ms: number): Promise<RawSocket> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("too late")), Math.max(0, ms));
  });
  try {
    return await Promise.race([attempt, late]);
  } catch (error) {
    // Nobody waits for its outcome any more.
    attempt.then((socket) => socket.destroy()).catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

answer({ port: 0, version: "" }, { hold, storm });
