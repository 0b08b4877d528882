// Damages a copy of a store's file in one place after the other, opens it, reads and writes it. Says how each went: what
// ends this process is the fault that is looked for.
import { randomFillSync } from "node:crypto";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import type { RecordKey } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { storeFileName } from "../../src/store/embedded/files.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const pageSize = 4_096;
const [source = "", count = "0"] = process.argv.slice(2);
const whole = readFileSync(path.join(source, storeFileName));
const keys = Array.from({ length: Number(count) }, (_, n) => `kept:${n}` as RecordKey);

type Damage = (page: Buffer) => void;
const damages: Readonly<Record<string, Damage>> = {
  random: (page) => void randomFillSync(page),
  zeros: (page) => void page.fill(0),
  header: (page) => void randomFillSync(page, 8, 16),
  nodes: (page) => void randomFillSync(page, 24, 64),
  patch: (page) => void randomFillSync(page, Math.floor(Math.random() * (page.length - 40)), 40),
  bit: (page) => {
    const at = Math.floor(Math.random() * page.length);
    page.writeUInt8(page.readUInt8(at) ^ 4, at);
  },
};

async function use(folder: string): Promise<string> {
  const store = await openEmbeddedStore({ folder, role: "gateway", timeoutMs: 2_000 });
  try {
    const records = await store.get(keys);
    const follower = store.follow(0, () => undefined);
    await follower.caughtUp;
    await follower.stop();
    await store.commit({ put: [{ key: "new:1" as RecordKey, value: { text: "x".repeat(6_000) } }] });
    return records.every((record) => record !== undefined) ? "whole" : "lost";
  } finally {
    await store.close();
  }
}

for (const [name, damage] of Object.entries(damages)) {
  for (let at = 2 * pageSize; at < whole.length; at += pageSize) {
    const folder = temporaryFolder();
    const file = path.join(folder.path, storeFileName);
    copyFileSync(path.join(source, storeFileName), file);
    const bytes = Buffer.from(whole);
    damage(bytes.subarray(at, at + pageSize));
    writeFileSync(file, bytes);
    console.log(`trying ${name} ${at / pageSize}`);
    const outcome = await use(folder.path).catch((error: Error) => `refused: ${error.message}`);
    console.log(`${name} ${at / pageSize} ${outcome}`);
    folder.remove();
  }
}
console.log("done");
