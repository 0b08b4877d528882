import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { limits } from "../../protocol/features.ts";
import { type Codec, CodecError, type Frame } from "../../src/codec/codec.ts";
import { createJsonCodec } from "../../src/codec/json.ts";
import { createMsgpackCodec } from "../../src/codec/msgpack.ts";
import { frameOf, loadVectors } from "../protocol/vectors.ts";
import { deepTree, hostileTree, jsonOf, msgpackOf, plainTree, type WireTree } from "./wire-tree.ts";

const json = createJsonCodec();
const msgpack = createMsgpackCodec();

type Verdict = { readonly value: unknown } | { readonly close: string };

function verdict(codec: Codec, frame: Frame): Verdict {
  try {
    return { value: codec.decode(frame) };
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return { close: error.close };
  }
}

function sameVerdict(tree: WireTree): Verdict {
  const ofJson = verdict(json, jsonOf(tree));
  expect(verdict(msgpack, msgpackOf(tree))).toStrictEqual(ofJson);
  return ofJson;
}

describe("the frame of an event", () => {
  it.each([json, msgpack])("is what encoding the whole message gives ($name)", (codec) => {
    fc.assert(
      fc.property(plainTree, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (tree, id) => {
        const seen = verdict(json, jsonOf(tree));
        if (!("value" in seen)) return;
        const { value: event } = seen;
        const whole = codec.encode({ id, type: "event", event });
        const frame = codec.encodeEvent(id, codec.encode(event));
        expect(Buffer.from(frame as Uint8Array)).toEqual(Buffer.from(whole as Uint8Array));
      }),
    );
  });
});

describe("both codecs accept and refuse the same messages", () => {
  it("for messages that are mostly plain data", () => {
    const seen = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(plainTree, (tree) => {
        seen["value" in sameVerdict(tree) ? "taken" : "refused"] += 1;
      }),
      { numRuns: 1000 },
    );
    expect(seen.taken).toBeGreaterThan(500);
  });

  it("for messages with hostile keys, texts and numbers", () => {
    const seen = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(hostileTree, (tree) => {
        seen["value" in sameVerdict(tree) ? "taken" : "refused"] += 1;
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(100);
  });

  it("for messages around the deepest nesting", () => {
    fc.assert(
      fc.property(deepTree, (tree) => {
        expect("value" in sameVerdict(tree)).toBe(depthOf(tree) <= limits.depth);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a message survives encoding and decoding", () => {
  it.each([json, msgpack])("in $name", (codec) => {
    fc.assert(
      fc.property(plainTree, (tree) => {
        const before = verdict(json, jsonOf(tree));
        if (!("value" in before)) return;
        expect(codec.decode(codec.encode(before.value))).toEqual(positiveZeros(before.value));
      }),
      { numRuns: 500 },
    );
  });
});

describe("damaged frames", () => {
  const frames = loadVectors().flatMap((vector) => {
    const [text, bytes] = [frameOf(vector, "json"), frameOf(vector, "msgpack")];
    if (vector.swapped || vector.padTo !== undefined) return [];
    return [
      ...(typeof text === "string" ? [{ codec: json, bytes: Buffer.from(text) }] : []),
      ...(bytes instanceof Uint8Array ? [{ codec: msgpack, bytes: Buffer.from(bytes) }] : []),
    ];
  });
  const damage = fc.record({
    frame: fc.constantFrom(...frames),
    cuts: fc.array(fc.tuple(fc.nat(200), fc.nat(3), fc.uint8Array({ maxLength: 4 })), {
      minLength: 1,
      maxLength: 4,
    }),
  });

  it("throw nothing but CodecError and leave every prototype as it was", () => {
    const before = prototypes();
    fc.assert(
      fc.property(damage, ({ frame: { codec, bytes }, cuts }) => {
        let damaged = bytes;
        for (const [at, removed, added] of cuts) {
          const from = Math.min(at, damaged.length);
          damaged = Buffer.concat([damaged.subarray(0, from), added, damaged.subarray(from + removed)]);
        }
        verdict(codec, codec === json ? damaged.toString("utf8") : damaged);
      }),
      { numRuns: 20_000 },
    );
    expect(prototypes()).toEqual(before);
  });

  it("of random bytes and text are the same", () => {
    const before = prototypes();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.string({ unit: "binary" }), (bytes, text) => {
        verdict(msgpack, bytes);
        verdict(json, text);
      }),
      { numRuns: 5000 },
    );
    expect(prototypes()).toEqual(before);
  });
});

function depthOf(tree: WireTree): number {
  if (tree.kind === "plain") return 0;
  const inner = tree.kind === "items" ? tree.items : tree.members.map(([, value]) => value);
  return 1 + Math.max(0, ...inner.map(depthOf));
}

/** JSON.stringify and msgpackr write -0 as 0. */
function positiveZeros(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** Everything that a prototype pollution could have left behind. */
function prototypes(): string[] {
  return [Object, Array, String, Number, Uint8Array, Function].map(({ prototype }) =>
    Reflect.ownKeys(prototype).map(String).join(),
  );
}
