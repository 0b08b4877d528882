import { Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";

import { type Codec, CodecError, type Frame } from "../../src/codec/codec.ts";
import { createJsonCodec } from "../../src/codec/json.ts";
import { createMsgpackCodec } from "../../src/codec/msgpack.ts";
import { type CodecName, frameOf, loadVectors, type Vector } from "../protocol/vectors.ts";

const codecs: Record<CodecName, Codec> = { json: createJsonCodec(), msgpack: createMsgpackCodec() };
const names: readonly CodecName[] = ["json", "msgpack"];
const vectors = loadVectors();

/** The connection checks `message_too_big` and `rate_limited`; for a codec such a frame is valid. */
const codecCloses = ["invalid_payload", "unsupported_frame"];

function decode(codec: CodecName, frame: Frame): { readonly message: unknown } | { readonly close: string } {
  try {
    return { message: codecs[codec].decode(frame) };
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return { close: error.close };
  }
}

function verdictOf({ expect: expected }: Vector): string | undefined {
  return "close" in expected && codecCloses.includes(expected.close) ? expected.close : undefined;
}

describe.each(names)("%s codec plays the golden vectors", (codec) => {
  const spoken = vectors.flatMap((vector) => {
    const frame = frameOf(vector, codec);
    return frame === undefined ? [] : [{ vector, frame, title: `${vector.file}: ${vector.name}` }];
  });

  it.each(spoken.filter(({ vector }) => verdictOf(vector) !== undefined))(
    "refuses $title",
    ({ vector, frame }) => {
      expect(decode(codec, frame)).toEqual({ close: verdictOf(vector) });
    },
  );

  it("decodes every other vector", () => {
    const refused = spoken.filter(
      ({ vector, frame }) => verdictOf(vector) === undefined && "close" in decode(codec, frame),
    );
    expect(refused.map(({ title }) => title)).toEqual([]);
  });

  it("encodes every canonical vector to the very bytes", () => {
    for (const { vector, frame } of spoken.filter(({ vector: { canonical } }) => canonical)) {
      const again = codecs[codec].encode(codecs[codec].decode(frame));
      expect(hexOf(again), vector.name).toBe(hexOf(frame));
    }
  });
});

describe("both codecs", () => {
  it("read the same message from a vector", () => {
    for (const vector of vectors) {
      const [text, bytes] = [frameOf(vector, "json"), frameOf(vector, "msgpack")];
      if (text === undefined || bytes === undefined) continue;
      expect(decode("msgpack", bytes), vector.name).toEqual(decode("json", text));
    }
  });

  it("read what msgpackr reads", () => {
    const msgpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });
    for (const vector of vectors.filter((each) => verdictOf(each) === undefined)) {
      const frame = frameOf(vector, "msgpack");
      if (!(frame instanceof Uint8Array)) continue;
      expect(codecs.msgpack.decode(frame), vector.name).toEqual(msgpackr.unpack(frame));
    }
  });
});

function hexOf(frame: Frame): string {
  return (typeof frame === "string" ? Buffer.from(frame) : Buffer.from(frame)).toString("hex");
}
