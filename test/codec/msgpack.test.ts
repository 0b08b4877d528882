import { describe, expect, it } from "vitest";

import { CodecError } from "../../src/codec/codec.ts";
import { createMsgpackCodec } from "../../src/codec/msgpack.ts";
import { quickest, reasonOf, usualMs } from "./measure.ts";

const codec = createMsgpackCodec();
const hex = (frame: string | Uint8Array) => Buffer.from(frame as Uint8Array).toString("hex");

describe("msgpack codec", () => {
  it("is chosen by its subprotocol", () => {
    expect({ name: codec.name, subprotocol: codec.subprotocol }).toEqual({
      name: "msgpack",
      subprotocol: "gatehouse.v1.msgpack",
    });
  });

  it("refuses more members than it may, wherever they are", () => {
    const bounded = createMsgpackCodec({ maxMembers: 3 });
    const fits = [{ a: 1 }, { b: { c: 1 } }];
    expect([bounded.decode(codec.encode(fits)), bounded.decode(codec.encode(fits))]).toEqual([fits, fits]);
    for (const message of [{ a: 1, b: 2, c: 3, d: 4 }, [{ a: 1 }, { b: { c: { d: 1 } } }]])
      expect(reasonOf(() => bounded.decode(codec.encode(message)))).toBe("too many members");
  });

  it("leaves out what is undefined, as JSON does", () => {
    expect(hex(codec.encode({ a: undefined, b: [undefined], c: { d: undefined } }))).toBe("82a16291c0a16380");
    expect(hex(codec.encode(undefined))).toBe("c0");
  });

  it("encodes members with the names of object methods", () => {
    const message = { toJSON: 1, hasOwnProperty: 2, valueOf: null, length: "x" };
    expect(codec.decode(codec.encode(message))).toEqual(message);
    const bare: object = Object.assign(Object.create(null), message);
    expect(codec.decode(codec.encode(bare))).toEqual(message);
  });

  it.each(["array", "object"])("visits each value once, however deep it is nested: %s", (kind) => {
    let visits = 0;
    let message: unknown = {
      get wide() {
        visits += 1;
        return 2 ** 40;
      },
    };
    for (let depth = 0; depth < 14; depth += 1) message = kind === "array" ? [message] : { inner: message };
    codec.encode(message);
    // Once to look for wide integers, and at most once more to write it.
    expect(visits).toBeLessThanOrEqual(2);
  });

  it("writes integers beyond 32 bits so that they come back", () => {
    const message = [2 ** 53 - 1, 1 - 2 ** 53, 2 ** 32, -(2 ** 31) - 1];
    expect(codec.decode(codec.encode(message))).toEqual(message);
    const deep = { a: [1, { b: 2 ** 40, c: [{ d: -(2 ** 40) }, 3] }], e: 2 ** 33, f: "x" };
    const before = structuredClone(deep);
    expect(codec.decode(codec.encode(deep))).toEqual(deep);
    expect(deep).toEqual(before);
  });

  it("leaves a frame unchanged while it encodes others", () => {
    const first = codec.encode({ type: "auth_ok" });
    const before = hex(first);
    for (let round = 0; round < 5000; round++)
      codec.encode({ id: round, type: "result", result: "x".repeat(50) });
    expect(hex(first)).toBe(before);
  });

  it("decodes messages that share no memory with the frame", () => {
    const frame = Buffer.from(codec.encode({ type: "auth", access_token: "x".repeat(700) }) as Uint8Array);
    const message = codec.decode(frame);
    frame.fill(0);
    expect(message).toEqual({ type: "auth", access_token: "x".repeat(700) });
  });

  it("reads a frame in the middle of a larger buffer", () => {
    const around = Buffer.concat([
      Buffer.alloc(3, 0xff),
      codec.encode([1.5, "é"]) as Uint8Array,
      Buffer.alloc(3),
    ]);
    expect(codec.decode(around.subarray(3, around.length - 3))).toEqual([1.5, "é"]);
  });

  it.each([0, 2, 15, 16, 255, 256, 65_536])("joins %i frames without encoding them again", (count) => {
    const frames = Array.from({ length: count }, (_, index) => codec.encode({ id: index }));
    expect(codec.decode(codec.join(frames))).toEqual(frames.map((_, index) => ({ id: index })));
  });

  it("joins one frame to itself and takes no text", () => {
    const frame = codec.encode({ id: 1 });
    expect(codec.join([frame])).toBe(frame);
    expect(() => codec.join([frame, "{}"])).toThrow(CodecError);
  });

  it("refuses every extension type in every form, and still works", () => {
    const heads = ["d4", "d5", "d6", "d7", "d8", "c701", "c704", "c80004", "c900000004"];
    const before = hex(codec.encode({ id: 1, type: "ping" }));
    const reasons = new Set<string | undefined>();
    for (let type = 0; type < 256; type++) {
      for (const head of heads) {
        const bytes = Buffer.from(head + type.toString(16).padStart(2, "0") + "40".repeat(16), "hex");
        for (let length = 1; length <= bytes.length; length++)
          reasons.add(reasonOf(() => codec.decode(bytes.subarray(0, length))));
      }
    }
    expect([...reasons]).toEqual(["type that messages do not use"]);
    expect(codec.decode(Buffer.from("93405f7f", "hex"))).toEqual([0x40, 0x5f, 0x7f]);
    expect(hex(codec.encode({ id: 1, type: "ping" }))).toBe(before);
  });

  it.each([10, 17, 1000, 10_000, 100_000, 1_000_000])("decides on depth %i at once", (depth) => {
    for (const head of ["91", "81a161", "dd00000001", "9181a161"]) {
      const bytes = Buffer.concat([Buffer.from(head.repeat(depth), "hex"), Buffer.of(0xc0)]);
      if (depth > 16) expect(reasonOf(() => codec.decode(bytes))).toBe("nested too deeply");
      expect(quickest(() => reasonOf(() => codec.decode(bytes)))).toBeLessThan(2 * usualMs());
    }
  });

  it("allocates nothing for a length before the bytes are there", () => {
    const nested = Buffer.concat([Buffer.from("dcfff0".repeat(16), "hex"), Buffer.alloc(65_530, 0xc0)]);
    expect(reasonOf(() => codec.decode(nested))).toBe("ends in the middle of a value");
    expect(quickest(() => reasonOf(() => codec.decode(nested)))).toBeLessThan(2 * usualMs());
    const flat = Buffer.concat([Buffer.from("ddffffffff", "hex"), Buffer.alloc(65_000, 0x90)]);
    expect(quickest(() => reasonOf(() => codec.decode(flat)))).toBeLessThan(usualMs() / 10);
  });

  it("never quotes the input in its errors", () => {
    const frame = Buffer.concat([codec.encode({ password: "hunter2" }) as Uint8Array, Buffer.of(0xc0)]);
    expect(reasonOf(() => codec.decode(frame))).toBe("bytes after the value");
  });
});
