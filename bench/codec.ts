// Measures what it costs to read and to write a message, with the checks of Gatehouse's codecs and with the bare
// libraries.
import { option, startAll, stopAll } from "./support/contenders.ts";
import { type Figure, figure, ratios } from "./support/figures.ts";
import { report } from "./support/report.ts";
import { type Contestant, takeTurns } from "./support/turns.ts";

const ROUNDS = Number(option("rounds") ?? 9);
const WARM_UPS = 3;
/** How often all the messages are processed in one round. */
const TIMES = 500;

const { running, absent } = await startAll([{ name: "codecs", file: "codecs", dialect: "none" }]);
const [codecs] = running;
if (codecs === undefined) throw new Error(`the codecs did not start: ${absent[0]?.reason}`);
const { server } = codecs;

const contestants: Contestant[] = (await server.ask<string[]>("operations")).map((operation) => ({
  name: operation,
  server,
  async run() {
    const done = await server.ask<{ seconds: number; messages: number }>("run", { operation, times: TIMES });
    return { operations: done.messages, seconds: done.seconds };
  },
}));
const turns = await takeTurns(contestants, { warmUps: WARM_UPS, rounds: ROUNDS });
const messages = await server.ask<{ count: number; jsonBytes: number; msgpackBytes: number }>("messages");
const versions = await server.ask<Readonly<Record<string, string>>>("versions");
await stopAll(running);

const cost = (one: Contestant | undefined): Figure =>
  figure(
    "ns",
    (one === undefined ? [] : (turns.get(one)?.cpu ?? [])).map((microseconds) => microseconds * 1000),
  );
const named = (name: string) => contestants.find((one) => one.name === name);

function ratio(of: string, to: string) {
  return { name: `${of} / ${to}`, unit: "", values: ratios(cost(named(of)), cost(named(to))) };
}

report({
  question: "codec",
  title: "CPU for one message, read or written",
  main: { column: "CPU/message", lessIsBetter: true },
  columns: ["CPU/message", "rate"],
  settings: {
    rounds: ROUNDS,
    "warm-ups": WARM_UPS,
    messages: messages.count,
    "bytes in JSON": Math.round(messages.jsonBytes),
    "bytes in msgpack": Math.round(messages.msgpackBytes),
  },
  contenders: contestants.map((one) => ({
    name: one.name,
    version: Object.entries(versions).find(([what]) => one.name.includes(what))?.[1] ?? "",
    figures: { "CPU/message": cost(one), rate: figure("/s", turns.get(one)?.rates ?? []) },
  })),
  absent: [],
  thresholds: [
    ratio("gatehouse JSON, decode", "bare JSON.parse"),
    ratio("gatehouse JSON, encode", "bare JSON.stringify"),
    ratio("gatehouse msgpack, decode", "bare msgpackr, unpack"),
    ratio("gatehouse msgpack, encode", "bare msgpackr, pack"),
  ],
  remarks: [
    "the messages are the golden vectors' that both codecs have one spelling for, each as often as the others",
    "gatehouse's decoders also refuse deep nesting, duplicate and poisoned keys, numbers that others read differently, and broken text; the bare libraries do not",
  ],
});
