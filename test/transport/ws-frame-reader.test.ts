import { createRequire } from "node:module";
import type { Writable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Breach,
  FrameReader,
  type FrameSink,
  type ReadLimits,
} from "../../src/transport/ws-frame-reader.ts";

const limits: ReadLimits = { maxMessageBytes: 200, maxFragments: 4, maxChunks: 10_000 };

const codeOf: Readonly<Record<Breach, number>> = {
  protocol_error: 1002,
  invalid_payload: 1007,
  too_many_parts: 1008,
  message_too_big: 1009,
};

/** What a reader says of a stream of bytes, in order. */
type Event = readonly [what: string, ...rest: (string | number)[]];

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

class Events implements FrameSink {
  readonly all: Event[] = [];

  message(frame: string | Uint8Array): void {
    this.all.push(typeof frame === "string" ? ["text", frame] : ["binary", hex(frame)]);
  }

  pinged(payload: Buffer): void {
    this.all.push(["ping", hex(payload)]);
  }

  ponged(): void {
    this.all.push(["pong"]);
  }

  closing(code: number, reason: string): void {
    this.all.push(["close", code, reason]);
  }

  broken(breach: Breach): void {
    this.all.push(["broken", codeOf[breach]]);
  }
}

function readByUs(chunks: readonly Buffer[], within = limits): readonly Event[] {
  const events = new Events();
  const reader = new FrameReader(events, within);
  for (const chunk of chunks) reader.read(Buffer.from(chunk));
  return events.all;
}

type Receiver = new (options: object) => Writable;
const { Receiver } = createRequire(import.meta.url)("ws") as { Receiver: Receiver };

/** The same bytes to the reader of the `ws` package. */
async function readByWs(chunks: readonly Buffer[]): Promise<readonly Event[]> {
  const all: Event[] = [];
  const receiver = new Receiver({
    isServer: true,
    maxPayload: limits.maxMessageBytes,
    maxFragments: limits.maxFragments,
  });
  receiver.on("message", (data: Buffer, isBinary: boolean) =>
    all.push(isBinary ? ["binary", hex(data)] : ["text", data.toString()]),
  );
  receiver.on("ping", (data: Buffer) => all.push(["ping", hex(data)]));
  receiver.on("pong", () => all.push(["pong"]));
  receiver.on("conclude", (code: number, reason: Buffer) => all.push(["close", code, reason.toString()]));
  let ended = false;
  receiver.on("error", (error) => {
    ended = true;
    all.push(["broken", closeCodeOf(error)]);
  });
  for (const chunk of chunks) {
    if (ended || receiver.writableEnded) break;
    receiver.write(Buffer.from(chunk));
    await new Promise((resolve) => process.nextTick(resolve));
  }
  await new Promise((resolve) => setImmediate(resolve));
  return all;
}

/** The package keeps the close code of its errors behind a symbol of its own. */
function closeCodeOf(error: Error): number {
  const [symbol] = Object.getOwnPropertySymbols(error);
  const entries = error as unknown as Readonly<Record<symbol, number>>;
  return symbol === undefined ? Number.NaN : (entries[symbol] ?? Number.NaN);
}

interface FrameShape {
  readonly first: number;
  readonly masked: boolean;
  readonly mask: readonly number[];
  readonly payload: Uint8Array;
  /** Of how many bytes the length is written; a longer form than needed is read all the same. */
  readonly form: 0 | 2 | 8;
}

function bytesOf({ first, masked, mask, payload, form }: FrameShape): Buffer {
  const length = payload.length;
  const wide = form === 8 || length > 0xffff ? 8 : form === 2 || length > 125 ? 2 : 0;
  const head = Buffer.alloc(2 + wide);
  head[0] = first;
  head[1] = (masked ? 0x80 : 0) | (wide === 8 ? 127 : wide === 2 ? 126 : length);
  if (wide === 2) head.writeUInt16BE(length, 2);
  if (wide === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, payload]);
  const hidden = payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return Buffer.concat([head, Buffer.from(mask), hidden]);
}

const text = fc.string({ unit: "grapheme", maxLength: 60 }).map((value) => new TextEncoder().encode(value));
const payload = fc.oneof(
  { weight: 6, arbitrary: text },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 100, maxLength: 200 }) },
  // Around the largest message that is taken.
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 295, maxLength: 305 }) },
);
/** Close frames mostly have a code that may be sent. */
const closing = fc
  .tuple(fc.constantFrom(1000, 1001, 1005, 3000, 4999, 5000), fc.oneof(text, fc.uint8Array({ maxLength: 8 })))
  .map(([code, reason]) => Buffer.concat([Buffer.from([code >> 8, code & 0xff]), reason.subarray(0, 123)]));
const mask = fc.oneof(
  fc.constant([0, 0, 0, 0]),
  fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 }),
);
const shape = (first: fc.Arbitrary<number>, body: fc.Arbitrary<Uint8Array>) =>
  fc.record<FrameShape>({
    first,
    masked: fc.oneof(
      { weight: 30, arbitrary: fc.constant(true) },
      { weight: 1, arbitrary: fc.constant(false) },
    ),
    mask,
    payload: body,
    form: fc.constantFrom(0, 0, 0, 2, 8),
  });
const frame = fc.oneof(
  // Whole messages, pings and pongs; parts of messages; closes; fragmented control frames, which must not be; anything.
  { weight: 12, arbitrary: shape(fc.constantFrom(0x81, 0x82, 0x89, 0x8a), payload) },
  { weight: 10, arbitrary: shape(fc.constantFrom(0x01, 0x02, 0x00, 0x00, 0x80, 0x80), payload) },
  { weight: 2, arbitrary: shape(fc.constant(0x88), fc.oneof(closing, fc.uint8Array({ maxLength: 4 }))) },
  { weight: 1, arbitrary: shape(fc.constantFrom(0x08, 0x09, 0x0a), text) },
  { weight: 1, arbitrary: shape(fc.integer({ min: 0, max: 255 }), payload) },
);
/** A message in up to seven parts, with whatever comes between them. */
const parts = fc.tuple(
  shape(fc.constantFrom(0x01, 0x02), text),
  fc.array(shape(fc.constantFrom(0x00, 0x00, 0x89), fc.uint8Array({ maxLength: 20 })), { maxLength: 5 }),
  shape(fc.constant(0x80), text),
);
const some = fc.oneof(
  { weight: 6, arbitrary: frame.map((one) => [one]) },
  { weight: 1, arbitrary: parts.map(([first, between, last]) => [first, ...between, last]) },
);
const stream = fc.record({
  frames: fc.array(some, { minLength: 1, maxLength: 12 }).map((each) => each.flat()),
  /** Where the bytes are cut into reads, and how many of them never come. */
  cuts: fc.array(fc.nat(4000), { maxLength: 12 }),
  lost: fc.nat(12),
});

function chunksOf({
  frames,
  cuts,
  lost,
}: typeof stream extends fc.Arbitrary<infer One> ? One : never): Buffer[] {
  const whole = Buffer.concat(frames.map(bytesOf));
  const bytes = whole.subarray(0, Math.max(0, whole.length - lost));
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, nth) => bytes.subarray(from, places[nth] ?? bytes.length));
}

describe("reader of WebSocket frames", () => {
  it("says of any bytes, however they are cut, what the reader of the ws package says", async () => {
    await fc.assert(
      fc.asyncProperty(stream, async (one) => {
        const chunks = chunksOf(one).filter((chunk) => chunk.length > 0);
        expect(readByUs(chunks)).toEqual(await readByWs(chunks));
      }),
      { numRuns: 3000 },
    );
  });

  it("was asked for everything that it can say", () => {
    const events = fc.sample(stream, { numRuns: 3000, seed: 1 }).flatMap((one) => readByUs(chunksOf(one)));
    const seen = new Set(events.map(([what, code]) => (what === "broken" ? `broken ${code}` : what)));
    const breaches = ["broken 1002", "broken 1007", "broken 1008", "broken 1009"];
    expect([...seen].sort()).toEqual(["binary", ...breaches, "close", "ping", "pong", "text"]);
  });

  it("reads the same one byte at a time", () => {
    fc.assert(
      fc.property(stream, (one) => {
        const bytes = Buffer.concat(chunksOf(one));
        expect(readByUs(Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(readByUs([bytes]));
      }),
      { numRuns: 500 },
    );
  });

  it("ends a frame that comes in more reads than are allowed, and keeps none of it", () => {
    const whole = bytesOf({
      first: 0x82,
      masked: true,
      mask: [1, 2, 3, 4],
      payload: new Uint8Array(40),
      form: 0,
    });
    const chunks = Array.from(whole, (byte) => Buffer.from([byte]));
    expect(readByUs(chunks, { ...limits, maxChunks: 64 })).toEqual([["binary", "00".repeat(40)]]);
    expect(readByUs(chunks, { ...limits, maxChunks: 16 })).toEqual([["broken", 1008]]);
  });

  it("refuses by the first bytes, before a payload arrives", () => {
    expect(readByUs([Buffer.from([0xc1, 0x80])])).toEqual([["broken", 1002]]);
    expect(readByUs([Buffer.from([0x81, 0x05])])).toEqual([["broken", 1002]]);
    expect(readByUs([Buffer.from([0x82, 0xfe, 0x00, 0xc9])])).toEqual([["broken", 1009]]);
    expect(readByUs([Buffer.from([0x82, 0xfe, 0x00, 0xc8])])).toEqual([]);
  });
});
