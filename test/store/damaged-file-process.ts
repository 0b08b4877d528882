// Damages a copy of a store's file at one place after the other, opens it, reads and writes it, and prints each outcome.
// The fault that is looked for ends this process. The same seed damages the same places.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import type { IndexKey, RecordKey } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { storeFileName } from "../../src/store/embedded/files.ts";
import { Random } from "../chaos/random.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const pageSize = 4_096;
/** Of a page that lmdb follows: its header, its node offsets, and the start of the tree records. */
const headerBytes = 180;
const [source = "", records = "0", flips = "0", seed = "0"] = process.argv.slice(2);
const whole = readFileSync(path.join(source, storeFileName));
const keys = Array.from({ length: Number(records) }, (_, n) => `kept:${n}` as RecordKey);
const random = new Random(Number(seed));

function below(limit: number): number {
  return random.between(0, limit - 1);
}

function fill(page: Buffer, from = 0, length = page.length): void {
  for (let at = from; at < from + length; at += 1) page.writeUInt8(below(256), at);
}

function flip(bytes: Buffer, at: number): void {
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << below(8)), at);
}

type Damage = (page: Buffer) => void;
const damages: Readonly<Record<string, Damage>> = {
  random: (page) => fill(page),
  zeros: (page) => void page.fill(0),
  header: (page) => fill(page, 8, 16),
  nodes: (page) => fill(page, 24, 64),
  patch: (page) => fill(page, below(page.length - 40), 40),
};

async function use(folder: string): Promise<string> {
  const store = await openEmbeddedStore({ folder, role: "gateway", timeoutMs: 2_000 });
  try {
    const found = await store.get(keys);
    await store.list("kept" as IndexKey, { limit: 1_000 });
    const follower = store.follow(0, () => undefined);
    await follower.caughtUp;
    await follower.stop();
    for (const key of keys.slice(0, 3)) {
      const put = [{ key: `new:${key}` as RecordKey, value: { text: "x".repeat(6_000) } }];
      await store.commit({ put, remove: [key], log: [{ key }] });
    }
    return found.every((record) => record !== undefined) ? "whole" : "lost";
  } finally {
    await store.close();
  }
}

async function tryWith(name: string, damage: (bytes: Buffer) => void): Promise<void> {
  const folder = temporaryFolder();
  const bytes = Buffer.from(whole);
  damage(bytes);
  writeFileSync(path.join(folder.path, storeFileName), bytes);
  console.log(`trying ${name}`);
  const outcome = await use(folder.path).catch((error: Error) => `refused: ${error.message}`);
  console.log(`${name} ${outcome}`);
  folder.remove();
}

for (const [name, damage] of Object.entries(damages)) {
  for (let at = 0; at < whole.length; at += pageSize)
    await tryWith(`${name} ${at / pageSize}`, (bytes) => damage(bytes.subarray(at, at + pageSize)));
}
for (let n = 0; n < Number(flips); n += 1) {
  // In turn: anywhere, at the start of a page, and in the file's headers.
  const page = below(n % 3 === 2 ? 2 : whole.length / pageSize) * pageSize;
  const at = page + below(n % 3 === 0 ? pageSize : headerBytes);
  await tryWith(`bit ${at}`, (bytes) => flip(bytes, at));
}
console.log("done");
