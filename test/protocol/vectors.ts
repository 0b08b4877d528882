import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

import { type CloseName, closeCodes } from "../../protocol/close-codes.ts";
import type { ErrorName } from "../../protocol/errors.ts";
import type { Frame } from "../../src/codec/codec.ts";

/** `any`: the reaction is the same before and after `auth_ok`. */
export type Phase = "before_auth" | "after_auth" | "any";
export type CodecName = "json" | "msgpack";

/** The server refuses by closing; `auth_invalid` is how the message before the close begins, absent without one. */
export interface CloseReaction {
  readonly close: CloseName;
  readonly auth_invalid?: string;
}

/** The server answers with an error `result` whose id is `id`, and the socket stays. */
export interface ErrorReaction {
  readonly error: ErrorName;
  readonly id: unknown;
  readonly message?: string;
}

/** What a fresh, onboarded gateway answers, to its owner after `auth_ok`. `result: true` stands for any result. */
export type Answer =
  | { readonly result: unknown }
  | { readonly error: ErrorName }
  | { readonly pong: true }
  | CloseReaction;

/** The message has a valid form. Without an `answer` what follows depends on more than the message. */
export interface Accepted {
  readonly accepted: true;
  readonly answer?: Answer;
}

export type Expectation = Accepted | CloseReaction | ErrorReaction;

interface Encoded {
  /** A text frame. */
  readonly json?: string;
  /** A binary frame in hex. */
  readonly msgpack?: string;
}

/** One golden frame and the reaction to it. */
export interface Vector extends Encoded {
  readonly file: string;
  readonly name: string;
  /** Who sends it. Frames of a server are there for clients, which accept them. */
  readonly direction: "client" | "server";
  readonly phase: Phase;
  /** Encoding the message gives exactly these frames. */
  readonly canonical?: true;
  /** Sent before, on the same socket; the reaction is to what comes after. */
  readonly first?: readonly Encoded[];
  /** The frame is sent so often; the reaction is to the last. */
  readonly times?: number;
  /** The JSON text is filled up to so many bytes with spaces at its end. */
  readonly padTo?: number;
  /** Each codec's socket gets the other's frame. */
  readonly swapped?: true;
  /** A server's `result` that answers this command. */
  readonly answers?: string;
  readonly expect: Expectation;
}

const folder = path.resolve(import.meta.dirname, "../../protocol/vectors");

/** All vectors of protocol/vectors, by file and in their order there. */
export function loadVectors(): readonly Vector[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .flatMap((name) => {
      const vectors = JSON.parse(readFileSync(path.join(folder, name), "utf8")) as Omit<Vector, "file">[];
      return vectors.map((vector) => ({ file: name.slice(0, -".json".length), ...vector }));
    });
}

/** The frame of a vector for a socket with that codec; undefined where the codec cannot say it. */
export function frameOf(vector: Vector, codec: CodecName): Frame | undefined {
  const other = codec === "json" ? "msgpack" : "json";
  return encodedFrame(vector, vector.swapped ? other : codec, vector.padTo);
}

/** Everything that the client sends for the vector, in order: `first`, then the frame as often as it is to be sent. */
export function framesOf(vector: Vector, codec: CodecName): readonly Frame[] | undefined {
  const frame = frameOf(vector, codec);
  if (frame === undefined) return undefined;
  const first = (vector.first ?? []).map((encoded) => {
    const before = encodedFrame(encoded, codec);
    if (before === undefined) throw new Error(`${vector.name}: no ${codec} frame to send first`);
    return before;
  });
  return [...first, ...Array<Frame>(vector.times ?? 1).fill(frame)];
}

function encodedFrame(encoded: Encoded, codec: CodecName, padTo = 0): Frame | undefined {
  if (codec === "msgpack") {
    return encoded.msgpack === undefined ? undefined : Uint8Array.from(Buffer.from(encoded.msgpack, "hex"));
  }
  if (encoded.json === undefined) return undefined;
  return encoded.json + " ".repeat(Math.max(0, padTo - Buffer.byteLength(encoded.json)));
}

/** What came back on a live socket after the last frame of a vector, batches taken apart. */
export interface Observed {
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  /** The code that the server closed with; undefined while the socket is open. */
  readonly closeCode: number | undefined;
}

/** True when a live gateway's reaction is fully known, so that the vector can be played against one. */
export function isPlayable({ direction, expect }: Vector): boolean {
  return direction === "client" && (!("accepted" in expect) || expect.answer !== undefined);
}

/** What is wrong with a live gateway's reaction; empty when it is the documented one. */
export function problemsOf(vector: Vector, observed: Observed): readonly string[] {
  const expected = "accepted" in vector.expect ? vector.expect.answer : vector.expect;
  if (expected === undefined) throw new Error(`${vector.name}: no reaction to compare with`);
  if ("close" in expected) return closeProblems(expected, observed);
  const [answer] = observed.messages;
  if (observed.closeCode !== undefined) return [`closed with ${observed.closeCode}`];
  if (answer === undefined) return ["no answer"];
  if ("pong" in expected) return answer.type === "pong" ? [] : [`no pong but ${shown(answer)}`];
  if ("error" in expected) return errorProblems(expected, answer);
  const fits = expected.result === true || shown(answer.result) === shown(expected.result);
  return answer.success === true && fits ? [] : [`no such result but ${shown(answer)}`];
}

function closeProblems(expected: CloseReaction, { messages, closeCode }: Observed): string[] {
  const problems: string[] = [];
  const { number } = closeCodes[expected.close];
  if (closeCode !== number) problems.push(`closed with ${closeCode} instead of ${number}`);
  const said = messages.find(({ type }) => type === "auth_invalid")?.message;
  const { auth_invalid: prefix } = expected;
  const fits =
    prefix === undefined ? said === undefined : typeof said === "string" && said.startsWith(prefix);
  if (!fits) problems.push(`auth_invalid: ${shown(said)}`);
  return problems;
}

function errorProblems(
  expected: { readonly error: ErrorName; readonly id?: unknown; readonly message?: string },
  answer: Readonly<Record<string, unknown>>,
): string[] {
  const { code, message } = (answer.error ?? {}) as { code?: unknown; message?: unknown };
  const problems: string[] = [];
  if (answer.success !== false || code !== expected.error) problems.push(`error ${shown(answer)}`);
  if ("id" in expected && shown(answer.id) !== shown(expected.id)) problems.push(`id ${shown(answer.id)}`);
  if (expected.message !== undefined && message !== expected.message)
    problems.push(`message ${shown(message)}`);
  return problems;
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? "undefined";
}
