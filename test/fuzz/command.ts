import { parseArgs } from "node:util";

import { fuzz, percentile } from "./run.ts";

const usage =
  "usage: npm run fuzz -- [--minutes N] [--transport ws|uws] [--attack mutations|flood] [--seed S] [--parallel N] [--megabytes-per-second N]";

/** The largest p99 of the bystander's pings that is no fault, milliseconds. */
const mostMs = 250;

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "1" },
      transport: { type: "string", default: "ws" },
      attack: { type: "string", default: "mutations" },
      seed: { type: "string", default: String(Date.now() % 2 ** 32) },
      parallel: { type: "string", default: "16" },
      "megabytes-per-second": { type: "string", default: "5" },
    },
  });
  const { transport, attack } = values;
  if (transport !== "ws" && transport !== "uws") throw new TypeError(usage);
  if (attack !== "mutations" && attack !== "flood") throw new TypeError(usage);
  const numbers = [values.minutes, values.seed, values.parallel, values["megabytes-per-second"]].map(Number);
  const [minutes = 1, seed = 1, parallel = 1, megabytes = 5] = numbers;
  if (numbers.some((number) => !(number >= 0))) throw new TypeError(usage);
  console.log(`${transport}, ${attack}, seed ${seed}, ${minutes} min, at most ${megabytes} MB/s`);
  const limits = { parallel, bytesPerSecond: megabytes * 1e6 };
  const { connections, bytes, pings, faults } = await fuzz({
    ...limits,
    seed,
    seconds: minutes * 60,
    transport,
    attack,
  });
  const p99 = percentile(pings, 0.99);
  console.log(
    `${connections} connections, ${(bytes / 1e6).toFixed(0)} MB; ${pings.length} pings of a bystander:`,
  );
  console.log(
    `p50 ${percentile(pings, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, most ${Math.max(...pings).toFixed(0)} ms`,
  );
  for (const fault of faults) console.log(`FAULT ${fault}`);
  return faults.length === 0 && p99 <= mostMs ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof TypeError ? error.message : error);
  return 2;
});
