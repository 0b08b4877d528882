import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BoundedReceiver } from "../../src/transport/ws-receiver.ts";
import { collectGarbage } from "../support/garbage.ts";
import { frame } from "../support/raw-socket.ts";

const READ = 64 * 1024;

/** What came out of a receiver, in order, after it was given the chunks one by one. */
function read(chunks: readonly Buffer[], receiver = new BoundedReceiver(READ)): string[] {
  const events: string[] = [];
  receiver.on("message", (data: Buffer) => events.push(`message ${data.toString("latin1")}`));
  receiver.on("ping", (data: Buffer) => events.push(`ping ${data.toString("latin1")}`));
  for (const chunk of chunks) give(receiver, chunk);
  return events;
}

/** All frames of `chunk`, in as many turns as it takes. */
function give(receiver: BoundedReceiver, chunk: Buffer): void {
  receiver.write(chunk);
  while (receiver.waits) receiver.readOn();
}

/** A part of a message in a read of 64 KiB that is filled up with pings. */
function readWith(part: Buffer): Buffer {
  const whole = Buffer.alloc(READ);
  part.copy(whole);
  const filler = frame(0x89, "");
  for (let at = part.length; at + filler.length <= READ; at += filler.length) filler.copy(whole, at);
  return whole.subarray(0, part.length + filler.length * Math.floor((READ - part.length) / filler.length));
}

describe("receiver of the ws transport", () => {
  it("lets go of reads of which it needs a byte", async () => {
    const receiver = new BoundedReceiver(READ);
    const reads: WeakRef<ArrayBufferLike>[] = [];
    const giveRead = (bytes: Buffer) => {
      reads.push(new WeakRef(bytes.buffer));
      give(receiver, bytes);
    };
    for (let nth = 0; nth < 120; nth += 1) giveRead(readWith(frame(nth === 0 ? 0x02 : 0x00, "x")));
    // The beginning of a frame, at the end of a read.
    giveRead(Buffer.concat([readWith(frame(0x00, "x")), frame(0x80, "end").subarray(0, 3)]));
    // A reference keeps its object alive until the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(reads.filter((each) => each.deref() !== undefined).length).toBeLessThan(4);
    expect(read([frame(0x80, "end").subarray(3)], receiver)).toEqual([`message ${"x".repeat(121)}end`]);
  });

  it("joins what comes byte by byte", async () => {
    const receiver = new BoundedReceiver(READ);
    const payload = "0123456789".repeat(3000);
    const bytes = frame(0x82, payload);
    collectGarbage();
    const before = process.memoryUsage();
    for (const byte of bytes.subarray(0, -1)) receiver.write(Buffer.alloc(1, byte));
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    // A buffer for each byte would be 6 MB.
    expect(process.memoryUsage().heapUsed - before.heapUsed).toBeLessThan(3_000_000);
    expect(read([bytes.subarray(-1)], receiver)).toEqual([`message ${payload}`]);
  });

  it("reads the same however bytes are cut", () => {
    const part = fc.tuple(fc.constantFrom("part", "ping", "last"), fc.integer({ min: 0, max: 9000 }));
    const cuts = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), cuts, (parts, sizes) => {
        const bytes = streamOf(parts);
        expect(read(cut(bytes, sizes))).toEqual(read([Buffer.from(bytes)]));
      }),
      { numRuns: 200 },
    );
  });

  it("reads few frames at once, and counts those of fragmented messages", () => {
    const receiver = new BoundedReceiver(READ);
    let pings = 0;
    receiver.on("ping", () => {
      pings += 1;
    });
    const parts = Array.from({ length: 500 }, () => frame(0x00, "x"));
    const pinged = Array.from({ length: 500 }, () => frame(0x89, ""));
    receiver.write(Buffer.concat([...pinged, frame(0x02, ""), ...parts, frame(0x80, "")]));
    const turns = [pings];
    while (receiver.waits) {
      const before = pings + receiver.fragments;
      receiver.readOn();
      turns.push(pings + receiver.fragments - before);
    }
    expect(Math.max(...turns)).toBeLessThan(50);
    expect([pings, receiver.takeFragments(), receiver.fragments]).toEqual([500, 501, 0]);
  });

  it("refuses a message of more empty frames than it may have bytes", async () => {
    const receiver = new BoundedReceiver(100);
    const codes: unknown[] = [];
    receiver.on("error", (error: Error & { code?: string }) => codes.push(error.code));
    const flood = Buffer.concat(Array.from({ length: 100 }, () => frame(0x00, "")));
    give(receiver, Buffer.concat([frame(0x01, ""), flood]));
    await new Promise((resolve) => setImmediate(resolve));
    expect(codes).toEqual(["WS_ERR_TOO_MANY_BUFFERED_PARTS"]);
  });
});

function streamOf(parts: readonly (readonly [string, number])[]): Buffer {
  const frames: Buffer[] = [];
  let begun = false;
  let bytes = 0;
  for (const [kind, size] of parts) {
    if (kind === "ping") frames.push(frame(0x89, "p".repeat(size % 126)));
    else {
      const fits = bytes + size <= READ ? size : 0;
      frames.push(frame((kind === "last" ? 0x80 : 0) | (begun ? 0 : 2), "x".repeat(fits)));
      begun = kind !== "last";
      bytes = begun ? bytes + fits : 0;
    }
  }
  return Buffer.concat(frames);
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, nth = 0; at < bytes.length; nth += 1) {
    const size = sizes[nth % sizes.length] ?? 1;
    chunks.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return chunks;
}
