// The load generator for messages on open sockets: closed and open model, and the times of closes.

import { answer, collectGarbage } from "../support/answering.ts";
import { latencies } from "../support/figures.ts";
import { monotonicNow } from "../support/machine.ts";
import { dialectOf } from "./dialects.ts";
import { authenticate, scriptOf } from "./handshake.ts";
import { languageOf, type Speaker } from "./languages.ts";
import { type RawSocket, textFrame } from "./raw-socket.ts";

export interface HoldJob {
  /** Names the sockets for later jobs. */
  readonly group: string;
  readonly port: number;
  readonly dialect: string;
  readonly tokens: readonly string[];
  /** A key of `languages.ts`. */
  readonly language?: string;
  /** What the speaker of each socket needs, in the tokens' order. */
  readonly secrets?: readonly string[];
}

/** Closed model: `inFlight` sockets at a time, each sends its next message once the previous one is answered. */
export interface TalkJob {
  readonly group: string;
  readonly operations: number;
  readonly inFlight: number;
}

/** Open model: messages at a fixed rate on the sockets in turn, whatever the server does. */
export interface PacedJob {
  readonly group: string;
  readonly operations: number;
  readonly perSecond: number;
}

/** Sockets of a group, in the order of its tokens. */
export interface ClosesJob {
  readonly group: string;
  readonly from: number;
  readonly to: number;
}

interface Held {
  readonly socket: RawSocket;
  readonly speaker: Speaker | undefined;
  /** One message at a time: the next one waits for it. */
  busy: Promise<void>;
  closedAt?: number;
}

interface Group {
  readonly sockets: Held[];
  /** The next socket; a job continues where the previous one stopped. */
  turn: number;
}

const groups = new Map<string, Group>();
let opened = 0;
const connecting = 64;
const heartbeats: ReadonlyMap<string, Buffer> = new Map([
  ["2", textFrame("3")],
  ["", textFrame("")],
  ["#1", textFrame("#2")],
]);

function groupOf(name: string): Group {
  const group = groups.get(name);
  if (group === undefined) throw new Error(`nobody holds ${name}`);
  return group;
}

function held(group: Group, at: number): Held {
  const one = group.sockets[at % group.sockets.length];
  if (one === undefined) throw new Error("no socket is held");
  return one;
}

async function hold({ group: name, port, dialect: dialectName, tokens, language, secrets }: HoldJob) {
  const dialect = dialectOf(dialectName);
  const group: Group = { sockets: [], turn: 0 };
  groups.set(name, group);
  let next = 0;
  const worker = async () => {
    for (let nth = next++; nth < tokens.length; nth = next++) {
      const socket = await authenticate({ port, dialect }, scriptOf(dialect, tokens[nth] ?? ""), opened++);
      const speaker = language === undefined ? undefined : languageOf(language)(secrets?.[nth] ?? "");
      const one: Held = { socket, speaker, busy: Promise.resolve() };
      socket.onCloseFrame = () => {
        one.closedAt = monotonicNow();
      };
      socket.onClose = () => undefined;
      socket.onText = (text) => keepAlive(socket, text);
      group.sockets[nth] = one;
    }
  };
  await Promise.all(Array.from({ length: connecting }, worker));
  collectGarbage();
}

/** Sends one message and waits for its answer. */
function say({ socket, speaker }: Held): Promise<void> {
  return new Promise((resolve, reject) => {
    if (speaker === undefined) return reject(new Error("these sockets have nothing to say"));
    const { onClose: before, onText: idle } = socket;
    const settle = (settled: () => void) => {
      socket.onText = idle;
      socket.onClose = before;
      settled();
    };
    socket.onText = (text) => {
      try {
        if (speaker.isAnswer(text)) settle(resolve);
        else idle(text);
      } catch (error) {
        settle(() => reject(error));
      }
    };
    socket.onClose = (...close) => {
      settle(() => reject(new Error(`closed with ${close[0]} instead of an answer`)));
      before(...close);
    };
    socket.send(textFrame(speaker.next()));
  });
}

/** Engine.IO and SocketCluster check in text frames whether the client is alive, and close if it does not answer. */
function keepAlive(socket: RawSocket, text: string): void {
  const reply = heartbeats.get(text);
  if (reply !== undefined) socket.send(reply);
}

async function talk({ group: name, operations, inFlight }: TalkJob) {
  const group = groupOf(name);
  const took: number[] = [];
  const end = group.turn + operations;
  const started = performance.now();
  const worker = async () => {
    while (group.turn < end) {
      const one = held(group, group.turn++);
      const from = performance.now();
      await say(one);
      took.push(performance.now() - from);
    }
  };
  if (inFlight > group.sockets.length) throw new Error("more in flight than sockets");
  await Promise.all(Array.from({ length: inFlight }, worker)).catch((error: unknown) => {
    throw new Error(`${name}: ${String(error)}`);
  });
  return { seconds: (performance.now() - started) / 1000, latencies: latencies(took) };
}

/** Each latency counts from when the message was due, so it includes delays on both sides. */
async function paced({ group: name, operations, perSecond }: PacedJob) {
  const group = groupOf(name);
  const took: number[] = [];
  const pending: Promise<void>[] = [];
  const started = performance.now();
  for (let nth = 0; nth < operations; ) {
    for (let due = dueAt(nth); nth < operations && due <= performance.now(); due = dueAt(nth)) {
      const from = due;
      const one = held(group, group.turn++);
      one.busy = one.busy.then(() => say(one)).then(() => void took.push(performance.now() - from));
      pending.push(one.busy);
      nth += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
  return { seconds: (performance.now() - started) / 1000, latencies: latencies(took) };

  function dueAt(nth: number): number {
    return started + (nth * 1000) / perSecond;
  }
}

const closesWithinMs = 30_000;

/** When the close frame of each of these sockets arrived, by `monotonicNow`. Waits for the missing ones. */
async function closes({ group: name, from, to }: ClosesJob): Promise<readonly number[]> {
  const group = groupOf(name);
  const awaited = group.sockets.slice(from, to);
  const deadline = performance.now() + closesWithinMs;
  for (;;) {
    const times = awaited.flatMap(({ closedAt }) => (closedAt === undefined ? [] : [closedAt]));
    if (times.length === awaited.length) return times;
    if (performance.now() > deadline)
      throw new Error(`${awaited.length - times.length} of ${awaited.length} sockets were not closed`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

answer(
  { port: 0, version: "" },
  {
    hold,
    talk,
    paced,
    closes,
    drop({ group: name }: { readonly group: string }) {
      for (const { socket } of groups.get(name)?.sockets ?? []) socket.destroy();
      groups.delete(name);
    },
  },
);
