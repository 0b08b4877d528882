// The control group of a fault: authenticated sockets that send commands at a fixed rate.

import { answer } from "../support/answering.ts";
import { type Latencies, latencies } from "../support/figures.ts";
import { dialectOf } from "./dialects.ts";
import { authenticate, scriptOf } from "./handshake.ts";
import { languageOf, type Speaker } from "./languages.ts";
import { type RawSocket, textFrame } from "./raw-socket.ts";

export interface Survivors {
  readonly port: number;
  readonly dialect: string;
  /** A key of `languages.ts`. */
  readonly language: string;
  readonly tokens: readonly string[];
  readonly perSecond: number;
}

export interface Watched extends Latencies {
  /** Sockets that the server closed meanwhile. */
  readonly lost: number;
}

interface Survivor {
  readonly socket: RawSocket;
  readonly speaker: Speaker;
  /** When the next message, and the one that waits for its answer, was due. */
  readonly due: number[];
}

/** How long answers are waited for after the last question; a later answer counts as this late. */
const PATIENCE_MS = 10_000;

let survivors: Survivor[] = [];
let took: number[] = [];
let lost = 0;
let perSecond = 1;
let timer: NodeJS.Timeout | undefined;

async function hold(group: Survivors): Promise<void> {
  const dialect = dialectOf(group.dialect);
  perSecond = group.perSecond;
  for (const [nth, token] of group.tokens.entries()) {
    // From the far end of the source ports, because the storm uses the near end.
    const socket = await authenticate({ port: group.port, dialect }, scriptOf(dialect, token), 600_000 + nth);
    const survivor: Survivor = { socket, speaker: languageOf(group.language)(""), due: [] };
    socket.onText = (text) => heard(survivor, text);
    socket.onClose = () => {
      lost += 1;
    };
    survivors.push(survivor);
  }
}

function heard({ due, speaker, socket }: Survivor, text: string): void {
  if (due.length === 0 || !speaker.isAnswer(text)) return;
  took.push(performance.now() - (due.shift() ?? 0));
  if (due.length > 0) socket.send(textFrame(speaker.next()));
}

/** One question at a time on a socket. If the previous answer is late, the question is late, and that counts. */
function ask(survivor: Survivor | undefined, due: number): void {
  if (survivor === undefined) return;
  survivor.due.push(due);
  if (survivor.due.length === 1) survivor.socket.send(textFrame(survivor.speaker.next()));
}

function begin(): void {
  took = [];
  lost = 0;
  const started = performance.now();
  let asked = 0;
  timer = setInterval(() => {
    for (let due = dueAt(); due <= performance.now(); due = dueAt()) {
      ask(survivors[asked % survivors.length], due);
      asked += 1;
    }
  }, 1);

  function dueAt(): number {
    return started + (asked * 1000) / perSecond;
  }
}

async function end(): Promise<Watched> {
  clearInterval(timer);
  const ended = performance.now();
  while (survivors.some(({ due }) => due.length > 0) && performance.now() - ended < PATIENCE_MS)
    await new Promise((resolve) => setTimeout(resolve, 5));
  for (const { due } of survivors) took.push(...due.splice(0).map((from) => performance.now() - from));
  return { ...latencies(took), lost };
}

function drop(): void {
  for (const { socket } of survivors) socket.destroy();
  survivors = [];
}

answer({ port: 0, version: "" }, { hold, begin, end, drop });
