// The store port, called directly, in a process of its own. Arguments: a Redis URL, or nothing for the embedded store.
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { indexKeys, recordKeys } from "../../src/auth/record-keys.ts";
import type { Step } from "../../src/auth/store.ts";
import { openStore } from "../../src/store/open.ts";
import { answer } from "../support/answering.ts";
import { latencies } from "../support/figures.ts";

const [, , url] = process.argv;
const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const store = await openStore({
  folder,
  role: "gateway",
  timeoutMs: 5_000,
  url,
});

const id = () => randomBytes(16).toString("hex");
const userId = id();
const sessionIds = Array.from({ length: 10_000 }, id);
const nthSession = (nth: number) => sessionIds[nth % sessionIds.length] ?? "";

/** As long as a session's record. */
function session(sessionId: string, lastUsedAt: number) {
  return {
    id: sessionId,
    userId,
    type: "normal",
    clientId: "https://example.org/",
    clientName: null,
    clientIcon: null,
    credentialId: id(),
    providerType: "homeassistant",
    createdAt: lastUsedAt,
    lastUsedAt,
    lastUsedIp: "192.0.2.1",
    expiresAt: lastUsedAt + 7_776_000_000,
    accessTokenTtl: 1_800_000,
    rotates: false,
    generation: 1,
    rotatedAt: lastUsedAt,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: lastUsedAt,
  };
}

function putting(nth: number): NonNullable<Step["put"]> {
  const sessionId = nthSession(nth);
  const now = Date.now();
  return [
    { key: recordKeys.session(sessionId), value: session(sessionId, now), expiresAt: now + 7_776_000_000 },
  ];
}

for (let from = 0; from < sessionIds.length; from += 500) {
  const nths = Array.from({ length: 500 }, (_, at) => from + at);
  const link = nths.map((nth) => ({ index: indexKeys.sessionsOf(userId), member: nthSession(nth) }));
  const steps = nths.map((nth, at) => ({ put: putting(nth), link: link.slice(at, at + 1) }));
  await Promise.all(steps.map((step) => store.commit(step)));
}
await store.commit({ put: [{ key: recordKeys.user(userId), value: { id: userId, name: "Somebody" } }] });

/** Each as the gateway does it. Throws if the answer is not the expected one. */
const operations: Readonly<Record<string, (nth: number) => Promise<void>>> = {
  async get(nth) {
    const [found] = await store.get([recordKeys.session(nthSession(nth))]);
    if (found === undefined) throw new Error("not found");
  },
  /** The records that a refresh reads. */
  async "get of three"(nth) {
    const [found] = await store.get([
      recordKeys.session(nthSession(nth)),
      recordKeys.user(userId),
      recordKeys.userEpoch(userId),
    ]);
    if (found === undefined) throw new Error("not found");
  },
  async "commit of a session and a log entry"(nth) {
    const log = [{ type: "session_changed", userId, sessionId: nthSession(nth) }];
    if (!(await store.commit({ put: putting(nth), log })).ok) throw new Error("a conflict");
  },
  async "commit that conflicts"(nth) {
    const check = [{ key: recordKeys.session(nthSession(nth)), version: 1 }];
    if ((await store.commit({ check, put: putting(nth) })).ok) throw new Error("no conflict");
  },
  async "list of 100"(nth) {
    const after = nthSession(nth);
    await store.list(indexKeys.sessionsOf(userId), { after, limit: 100 });
  },
};

export interface StoreJob {
  readonly operation: string;
  readonly count: number;
  readonly inFlight: number;
}

async function run({ operation, count, inFlight }: StoreJob) {
  const once = operations[operation];
  if (once === undefined) throw new Error(`no operation ${operation}`);
  const took: number[] = [];
  let next = 0;
  const started = performance.now();
  const worker = async () => {
    for (let nth = next++; nth < count; nth = next++) {
      const from = performance.now();
      await once(nth);
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { seconds: (performance.now() - started) / 1000, latencies: latencies(took) };
}

const { version } = JSON.parse(readFileSync(path.resolve("package.json"), "utf8")) as { version: string };
answer({ port: 0, version }, { run, operations: () => Object.keys(operations) });
