// The load generator for fan-out: many sockets that subscribe, and one that publishes.

import { answer, collectGarbage } from "../support/answering.ts";
import { dialectOf } from "./dialects.ts";
import { fanOutLanguageOf } from "./fan-out-languages.ts";
import { authenticate, scriptOf } from "./handshake.ts";
import { binaryFrame, type RawSocket, textFrame } from "./raw-socket.ts";

export interface SubscribeJob {
  /** Names the sockets for later jobs. */
  readonly group: string;
  readonly port: number;
  readonly dialect: string;
  /** A key of `fan-out-languages.ts`. */
  readonly language: string;
  /** One for each subscriber. Each subscribes to the topic of all, and to one of `topics` topics, in turn. */
  readonly tokens: readonly string[];
  readonly topics: number;
  readonly publisherToken: string;
}

export interface PublishJob {
  readonly group: string;
  readonly messages: number;
  /** To the topic of all; otherwise to the others in turn. */
  readonly toAll: boolean;
  /** Messages that are sent in one write. The next ones follow when all subscribers have these. */
  readonly burst: number;
}

interface Group {
  readonly sockets: readonly RawSocket[];
  readonly publisher: RawSocket;
  readonly language: string;
  readonly isBinary: boolean;
  readonly topics: number;
  /** Messages that subscribers have received. */
  received: number;
  onReceived: () => void;
  /** Ids and topics of further messages. */
  nextId: number;
  fault: string | undefined;
}

/** Found once in every message, whatever frames it into what. */
const MARK = '"mark":';
const deliveredWithinMs = 20_000;
const connecting = 64;
const heartbeatMs = 60_000;
const groups = new Map<string, Group>();
const heartbeats: ReadonlyMap<string, Buffer> = new Map([
  ["2", textFrame("3")],
  ["PING\r\n", binaryFrame("PONG\r\n")],
]);
let opened = 0;

/** As a sensor sends it: about 100 bytes. */
function message(id: number): string {
  return `{${MARK}${id},"entity_id":"sensor.kitchen_temperature","state":"21.5","unit":"C","battery":87}`;
}

const ALL = "all";

function topicOf(nth: number): string {
  return `news${nth}`;
}

function marksIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf(MARK); at >= 0; at = text.indexOf(MARK, at + MARK.length)) count += 1;
  return count;
}

async function subscribe(job: SubscribeJob): Promise<void> {
  const { group: name, port, tokens, topics, publisherToken } = job;
  const dialect = dialectOf(job.dialect);
  const language = fanOutLanguageOf(job.language);
  const isBinary = dialect.binary === true;
  const frameOf = isBinary ? binaryFrame : textFrame;
  const sockets: RawSocket[] = [];
  const enter = (token: string) => authenticate({ port, dialect }, scriptOf(dialect, token), opened++);
  const publisher = await enter(publisherToken);
  const group: Group = {
    sockets,
    publisher,
    language: job.language,
    isBinary,
    topics,
    received: 0,
    onReceived: () => undefined,
    nextId: 1,
    fault: undefined,
  };
  groups.set(name, group);
  publisher.onText = (text) => {
    if (text.includes('"success":false')) group.fault = text;
    const reply = heartbeats.get(text);
    if (reply !== undefined) publisher.send(reply);
  };
  let next = 0;
  const worker = async () => {
    for (let nth = next++; nth < tokens.length; nth = next++) {
      const socket = await enter(tokens[nth] ?? "");
      await subscribed(socket, frameOf(language.subscribe(1, ALL)), language.subscribed);
      await subscribed(socket, frameOf(language.subscribe(2, topicOf(nth % topics))), language.subscribed);
      socket.onClose = (code) => {
        group.fault ??= `a subscriber was closed with ${code}`;
      };
      socket.onText = (text) => {
        const marks = marksIn(text);
        if (marks > 0) {
          group.received += marks;
          group.onReceived();
        } else {
          const reply = heartbeats.get(text);
          if (reply !== undefined) socket.send(reply);
        }
      };
      sockets[nth] = socket;
    }
  };
  await Promise.all(Array.from({ length: connecting }, worker));
  const { heartbeat } = language;
  if (heartbeat !== undefined) {
    const frame = frameOf(heartbeat);
    setInterval(() => [publisher, ...sockets].map((socket) => socket.send(frame)), heartbeatMs).unref();
  }
  collectGarbage();
}

function subscribed(socket: RawSocket, frame: Buffer, confirmation: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.onClose = (code) => reject(new Error(`closed with ${code} instead of a confirmation`));
    socket.onText = (text) => {
      if (text.includes('"success":false')) reject(new Error(`refused: ${text.slice(0, 300)}`));
      else if (text.includes(confirmation)) resolve();
    };
    socket.send(frame);
  });
}

async function publish({ group: name, messages, toAll, burst }: PublishJob) {
  const group = groups.get(name);
  if (group === undefined) throw new Error(`nobody holds ${name}`);
  const language = fanOutLanguageOf(group.language);
  const frameOf = group.isBinary ? binaryFrame : textFrame;
  const perTopic = toAll ? group.sockets.length : group.sockets.length / group.topics;
  const started = performance.now();
  const before = group.received;
  for (let sent = 0; sent < messages; sent += burst) {
    const frames = Array.from({ length: burst }, () => {
      const id = group.nextId++;
      return frameOf(language.publish(id, toAll ? ALL : topicOf(id % group.topics), message(id)));
    });
    const expected = before + (sent + burst) * perTopic;
    const all = untilReceived(group, expected);
    group.publisher.send(Buffer.concat(frames));
    await all;
  }
  return { deliveries: group.received - before, seconds: (performance.now() - started) / 1000 };
}

function untilReceived(group: Group, expected: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(group.fault ?? `${expected - group.received} deliveries are missing`)),
      deliveredWithinMs,
    );
    group.onReceived = () => {
      if (group.received < expected) return;
      clearTimeout(late);
      group.onReceived = () => undefined;
      resolve();
    };
  });
}

answer(
  { port: 0, version: "" },
  {
    subscribe,
    publish,
    drop({ group: name }: { readonly group: string }) {
      const group = groups.get(name);
      for (const socket of [...(group?.sockets ?? []), ...(group === undefined ? [] : [group.publisher])])
        socket.destroy("rst");
      groups.delete(name);
    },
  },
);
