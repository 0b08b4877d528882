import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import type { RecordKey } from "../../../src/auth/store.ts";
import { openEmbeddedStore } from "../../../src/store/embedded/embedded-store.ts";
import { storeFileName } from "../../../src/store/embedded/files.ts";
import { Collector } from "../../contract/store.ts";
import { startProcess } from "../../support/child-process.ts";
import type { Crash } from "./crash.ts";

/** Opens what a crash has left, in a folder of its own. Returns what is wrong with it, if anything. */
export async function recover(folder: string, { image, acknowledged }: Crash): Promise<string | undefined> {
  return await inFolder(folder, image, () => problemOf(folder, acknowledged));
}

/** As `recover`, in a process of its own: lmdb aborts its process on pages that contradict each other. */
export async function recoverApart(
  folder: string,
  { image, acknowledged }: Crash,
): Promise<string | undefined> {
  return await inFolder(folder, image, async () => {
    const script = new URL("./recovering-process.ts", import.meta.url);
    const child = startProcess({ script, args: [folder, JSON.stringify(acknowledged)] });
    const exit = await child.exited;
    if (exit !== 0) return `the process ended with ${exit}`;
    return child.lines.includes("right") ? undefined : child.lines.join("\n");
  });
}

async function inFolder<T>(folder: string, image: Buffer, run: () => Promise<T>): Promise<T> {
  mkdirSync(folder, { recursive: true });
  if (image.length > 0) writeFileSync(path.join(folder, storeFileName), image);
  try {
    return await run();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What was acknowledged is there, records and log, and both are the same prefix of what was committed. */
export async function problemOf(
  folder: string,
  acknowledged: readonly number[],
): Promise<string | undefined> {
  try {
    const { records, logged } = await contentOf(folder, 1 + 2 * Math.max(0, ...acknowledged));
    const lost = acknowledged.filter((n) => !records.includes(n));
    if (lost.length > 0) return `lost ${lost}`;
    if (records.some((n, place) => n !== place)) return `not a beginning: ${records}`;
    return JSON.stringify(logged) === JSON.stringify(records)
      ? undefined
      : "the log is not that of the records";
  } catch (error) {
    return `cannot be opened: ${error}`;
  }
}

async function contentOf(folder: string, most: number) {
  const store = await openEmbeddedStore({ folder, role: "cli" });
  try {
    const numbers = Array.from({ length: most + 64 }, (_, n) => n);
    const found = await store.get(numbers.map((n) => `acked:${n}` as RecordKey));
    const collector = new Collector();
    const follower = store.follow(0, collector.listener);
    await follower.caughtUp;
    await follower.stop();
    return {
      records: numbers.filter((n) => found[n]?.value.n === n),
      logged: collector.entries.map(({ event }) => event.n),
    };
  } finally {
    await store.close();
  }
}
