// Measures what the store and the process hold after users have come and gone for longer than anything of them is kept.
import { retentionMs } from "../src/auth/revocation/view.ts";
import type { LoginsJob } from "./load/logins.ts";
import type { Child } from "./support/child.ts";
import { absentFor, type Entrant, option, select, start, startLoad } from "./support/contenders.ts";
import { figure, median } from "./support/figures.ts";
import { report } from "./support/report.ts";
import type { Absent, Contender, Threshold } from "./support/result.ts";
import { startBenchRedis } from "./support/start-redis.ts";

const LOGINS_PER_SECOND = 8;
/** The shortest lifetime of an access token that the configuration allows. */
const ACCESS_TTL_SECONDS = 60;
const SAMPLE_MS = 5_000;
/** The longest time that anything is kept after its end. */
const KEPT_MINUTES = retentionMs(ACCESS_TTL_SECONDS * 1_000) / 60_000 + 1;
const MINUTES = Number(option("minutes") ?? 2 * Math.ceil(KEPT_MINUTES));

interface Usage {
  readonly keys: number;
  readonly bytes: number;
  readonly log: number;
}

interface Sample extends Partial<Usage> {
  /** MiB. */
  readonly store: number;
  readonly resident: number;
  readonly heap: number;
}

interface Soaked {
  readonly contender: Contender;
  readonly samples: readonly Sample[];
}

const mebi = (bytes: number) => bytes / 1_048_576;

async function sampleOf(server: Child, redis: Child | undefined): Promise<Sample> {
  const usage = await redis?.ask<Usage>("usage");
  const bytes = usage?.bytes ?? (await server.ask<number>("data-bytes"));
  await server.ask("settle");
  const { heapUsed } = await server.ask<NodeJS.MemoryUsage>("memory");
  return { ...usage, store: mebi(bytes), resident: mebi(server.residentBytes()), heap: mebi(heapUsed) };
}

async function soak(entrant: Entrant, redis: Child | undefined): Promise<Soaked> {
  const server = await start(entrant);
  const load = await startLoad("logins");
  try {
    const samples = await comeAndGo(entrant.name, { server, load, redis });
    return {
      contender: { name: entrant.name, version: server.version, figures: figuresOf(samples) },
      samples,
    };
  } finally {
    await server.stop();
    await load.stop();
  }
}

interface Cast {
  readonly server: Child;
  readonly load: Child;
  readonly redis: Child | undefined;
}

async function comeAndGo(name: string, { server, load, redis }: Cast): Promise<readonly Sample[]> {
  const job: LoginsJob = {
    port: server.port,
    usernames: ["owner"],
    password: "correct horse battery",
    by: "form",
    count: LOGINS_PER_SECOND,
    inFlight: 2,
  };
  const samples: Sample[] = [];
  const ends = performance.now() + MINUTES * 60_000;
  let sampleAt = performance.now() + SAMPLE_MS;
  for (let nth = 1; performance.now() < ends; nth += 1) {
    const pause = new Promise((resolve) => setTimeout(resolve, 1_000));
    // On a busy machine the store is late now and then. An interrupted login has ended as well.
    await load.ask("logins", job).catch(() => undefined);
    await server.ask("come-and-go", { nth }).catch(() => undefined);
    if (performance.now() >= sampleAt) {
      samples.push(await sampleOf(server, redis));
      sampleAt += SAMPLE_MS;
      tell(name, samples);
    }
    await pause;
  }
  return samples;
}

/** One line for each minute. */
function tell(name: string, samples: readonly Sample[]): void {
  const last = samples.at(-1);
  if (last === undefined || samples.length % (60_000 / SAMPLE_MS) !== 0) return;
  const { keys = "-", log = "-", store, resident, heap } = last;
  const minute = (samples.length * SAMPLE_MS) / 60_000;
  console.log(
    `${minute} min, ${name}: ${keys} keys, ${log} log entries, store ${store.toFixed(1)} MiB, ` +
      `resident ${resident.toFixed(1)} MiB, heap ${heap.toFixed(1)} MiB`,
  );
}

/** The samples of the time in which as much is removed as is added. */
function settled(samples: readonly Sample[]): readonly Sample[] {
  return samples.slice(Math.floor((samples.length * KEPT_MINUTES) / MINUTES));
}

const columns: Readonly<Record<string, { readonly unit: string; of(sample: Sample): number | undefined }>> = {
  keys: { unit: "", of: ({ keys }) => keys },
  log: { unit: "", of: ({ log }) => log },
  store: { unit: "MiB", of: ({ store }) => store },
  resident: { unit: "MiB", of: ({ resident }) => resident },
  heap: { unit: "MiB", of: ({ heap }) => heap },
};

function valuesOf(samples: readonly Sample[], column: string): readonly number[] {
  return samples.flatMap((sample) => columns[column]?.of(sample) ?? []);
}

function figuresOf(samples: readonly Sample[]): Contender["figures"] {
  const rows = Object.entries(columns).map(
    ([name, { unit }]) => [name, figure(unit, valuesOf(settled(samples), name))] as const,
  );
  return Object.fromEntries(rows.filter(([, { values }]) => values.length > 0));
}

/** The end of that time compared with its beginning. */
function growth({ contender, samples }: Soaked, column: string, atMost: number): readonly Threshold[] {
  const values = valuesOf(settled(samples), column);
  if (values.length < 4) return [];
  const half = values.length >> 1;
  const ratio = median(values.slice(half)) / median(values.slice(0, half));
  return [{ name: `${contender.name}, growth: ${column}`, unit: "", values: [ratio], must: { atMost } }];
}

const settings = { tokens: { access_ttl_seconds: ACCESS_TTL_SECONDS }, store_timeout_ms: 5_000 };
const { redis, absent: withoutRedis } = await startBenchRedis(["gatehouse on Redis"]);
const onRedis = {
  ...settings,
  store: redis?.url,
  tokens: { ...settings.tokens, issuer: "https://soak.test" },
};
const entrant = (name: string, config: object): Entrant => ({
  name,
  file: "gatehouse",
  args: ["ws", JSON.stringify(config)],
  dialect: "home-assistant",
});
const { asked } = select([
  entrant("gatehouse, embedded", settings),
  ...(redis === undefined ? [] : [entrant("gatehouse on Redis", onRedis)]),
]);
const absent: Absent[] = [...withoutRedis];
const soaked: Soaked[] = [];
await Promise.all(
  asked.map(async (one) => {
    try {
      soaked.push(await soak(one, one.name.endsWith("Redis") ? redis?.server : undefined));
    } catch (error) {
      absent.push(absentFor(one, error));
    }
  }),
);
await redis?.server.stop();

report({
  question: "soak",
  title: "What is held while people come and go",
  main: { column: "resident", lessIsBetter: true },
  columns: Object.keys(columns),
  settings: {
    minutes: MINUTES,
    "kept for, minutes": KEPT_MINUTES,
    "access token": `${ACCESS_TTL_SECONDS} s`,
    "a second": `${LOGINS_PER_SECOND} logins and revokes, one user who comes, gets tokens and is removed`,
  },
  contenders: soaked.map(({ contender }) => contender),
  absent,
  thresholds: soaked.flatMap((one) => [
    ...growth(one, "keys", 1.03),
    ...growth(one, "log", 1.03),
    ...growth(one, "store", 1.05),
    ...growth(one, "resident", 1.05),
  ]),
  remarks: [
    "of the time after the longest that anything is kept: median, lowest and highest; growth is the second half of that time against the first",
    "resident: private memory after a garbage collection; the embedded store's file does not shrink, its free pages are used again",
  ],
});
