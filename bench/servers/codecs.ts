// The codecs on the messages of the golden vectors, in a process of their own.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Packr, Unpackr } from "msgpackr";
import { createJsonCodec } from "../../src/codec/json.ts";
import { createMsgpackCodec } from "../../src/codec/msgpack.ts";
import { answer } from "../support/answering.ts";

interface Vector {
  readonly json?: string;
  readonly msgpack?: string;
  readonly canonical?: boolean;
}

const folder = path.resolve("protocol/vectors");
const vectors = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .flatMap((file) => JSON.parse(readFileSync(path.join(folder, file), "utf8")) as Vector[]);

/** The messages that have one encoding in each codec: what clients and servers that follow the protocol send. */
const frames = vectors.flatMap(({ json, msgpack, canonical }) =>
  canonical === true && json !== undefined && msgpack !== undefined
    ? [{ json, msgpack: new Uint8Array(Buffer.from(msgpack, "hex")), message: JSON.parse(json) as unknown }]
    : [],
);

const json = createJsonCodec();
const msgpack = createMsgpackCodec();
const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });

type Frame = (typeof frames)[number];

const operations: Readonly<Record<string, (frame: Frame) => unknown>> = {
  "bare JSON.parse": (frame) => JSON.parse(frame.json),
  "gatehouse JSON, decode": (frame) => json.decode(frame.json),
  "bare JSON.stringify": (frame) => JSON.stringify(frame.message),
  "gatehouse JSON, encode": (frame) => json.encode(frame.message),
  "bare msgpackr, unpack": (frame) => unpackr.unpack(frame.msgpack),
  "gatehouse msgpack, decode": (frame) => msgpack.decode(frame.msgpack),
  "bare msgpackr, pack": (frame) => packr.pack(frame.message),
  "gatehouse msgpack, encode": (frame) => msgpack.encode(frame.message),
};

/** The last result is kept, so that nothing can be optimised away. */
let last: unknown;

function run({ operation, times }: { operation: string; times: number }) {
  const once = operations[operation];
  if (once === undefined) throw new Error(`no operation ${operation}`);
  const started = performance.now();
  for (let time = 0; time < times; time += 1) {
    for (const frame of frames) last = once(frame);
  }
  if (last === undefined) throw new Error("nothing was made");
  return { seconds: (performance.now() - started) / 1000, messages: times * frames.length };
}

const { version, dependencies } = JSON.parse(readFileSync(path.resolve("package.json"), "utf8")) as {
  version: string;
  dependencies: { msgpackr: string };
};
const bytes = (of: (frame: Frame) => number) =>
  frames.reduce((sum, frame) => sum + of(frame), 0) / frames.length;
answer(
  { port: 0, version },
  {
    run,
    operations: () => Object.keys(operations),
    versions: () => ({ gatehouse: version, msgpackr: dependencies.msgpackr, JSON: process.version }),
    messages: () => ({
      count: frames.length,
      jsonBytes: bytes((frame) => Buffer.byteLength(frame.json)),
      msgpackBytes: bytes((frame) => frame.msgpack.length),
    }),
  },
);
