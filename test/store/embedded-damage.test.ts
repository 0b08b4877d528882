import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

import type { IndexKey, RecordKey } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { storeFileName } from "../../src/store/embedded/files.ts";
import { StoreFile } from "../../src/store/embedded/store-file.ts";
import { numberKey } from "../../src/store/embedded/tables.ts";
import { committed } from "../contract/store.ts";
import { startProcess } from "../support/child-process.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const open = () => openEmbeddedStore({ folder: folder.path, role: "gateway" });
const records = 60;

async function withData(): Promise<void> {
  const store = await open();
  for (let n = 0; n < records; n += 1) {
    // Some values are in pages of their own.
    const text = randomBytes(n % 10 === 0 ? 4_000 : 100).toString("hex");
    await committed(store, {
      put: [{ key: `kept:${n}` as RecordKey, value: { text } }],
      link: [{ index: "kept" as IndexKey, member: String(n) }],
      log: [{ n }],
    });
  }
  await store.close();
}

it("a page with wrong content never ends the process: the file is refused, and the error says what to do", async () => {
  await withData();
  const script = new URL("./damaged-file-process.ts", import.meta.url);
  const child = startProcess({ script, args: [folder.path, String(records), "800", "20"] });
  expect(await child.exited, child.lines.at(-1)).toBe(0);
  expect(child.lines.at(-1)).toBe("done");
  const outcomes = child.lines.filter((line) => /^(random|zeros|header|nodes|patch|bit) \d+ /.test(line));
  const refused = outcomes.filter((line) => line.includes("refused"));
  expect(refused.length).toBeGreaterThan(20);
  // Random bytes in a page of a tree are always detected.
  expect(refused.filter((line) => line.startsWith("random")).length).toBeGreaterThan(5);
  for (const line of refused) expect(line).toMatch(/restore a backup|no longer|not written/);
});

it("a log that cannot be read is reported as damaged, at once", async () => {
  await withData();
  const file = await StoreFile.open(folder.path);
  await file.transact(({ log }) => log.putSync(numberKey(30), "1|1|{no JSON"));
  await file.close();
  const store = await open();
  const { caughtUp } = store.follow(0, () => undefined);
  await expect(caughtUp).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/the data file is damaged: an entry of its log.*restore a backup/),
  });
  await store.close();
});

it("a list of free pages that names a page in use is detected when the file is opened", async () => {
  await withData();
  const file = path.join(folder.path, storeFileName);
  const whole = readFileSync(file);
  const pageSize = 4_096;
  // The root of the free pages, and the transaction, of the header that counts.
  const headers = [0, pageSize].map((at) => ({
    root: Number(whole.readBigUInt64LE(at + 88)),
    tables: whole.readBigUInt64LE(at + 136),
    transaction: whole.readBigUInt64LE(at + 152),
  }));
  const newest = headers.reduce((a, b) => (b.transaction > a.transaction ? b : a));
  const page = newest.root * pageSize;
  // Its first entry: 8 bytes of header, a key of 8 bytes, and the list: the number of words, then the words.
  const list = page + 24 + whole.readUInt16LE(page + 24) + 16;
  expect(whole.readBigUInt64LE(list)).toBeGreaterThan(0n);
  for (const [at, word] of [
    [0, 100_000n],
    [1, newest.tables],
    [1, 7_077_900n],
  ] as const) {
    const bytes = Buffer.from(whole);
    bytes.writeBigUInt64LE(word, list + 8 * at);
    writeFileSync(file, bytes);
    await expect(open()).rejects.toThrow(/the data file is damaged: pages of it .*restore a backup/);
  }
  writeFileSync(file, whole);
  await (await open()).close();
});

it.each([
  ["flags", 4],
  ["depth", 6],
  ["pages of branches", 8],
  ["pages of leaves", 16],
  ["pages of large values", 24],
  ["entries", 32],
  ["root", 40],
])("lmdb's record of a table is compared with its pages: %s", async (_, field) => {
  await withData();
  const file = path.join(folder.path, storeFileName);
  const bytes = readFileSync(file);
  // In every page that has ever held it: the name, preceded by its length in a word and followed by the numbers.
  for (let at = bytes.indexOf("records"); at !== -1; at = bytes.indexOf("records", at + 1)) {
    const number = at + bytes.readUInt16LE(at - 2) + field;
    bytes.writeUInt8(bytes.readUInt8(number) ^ 4, number);
  }
  writeFileSync(file, bytes);
  await expect(open()).rejects.toThrow(/the data file is damaged: pages of it .*restore a backup/);
});

it.each([
  ["no JSON", "{no JSON", "its state cannot be read"],
  [
    "a number gone",
    '{"format":1,"commits":9,"logHeae":60,"logLastAt":1,"logTrimmedAt":0}',
    "its state cannot be read",
  ],
  [
    "a log that goes on",
    '{"format":1,"commits":9e15,"logHead":90,"logLastAt":1,"logTrimmedAt":0}',
    "do not agree",
  ],
  [
    "a log from later",
    '{"format":1,"commits":9,"logHead":60,"logLastAt":1,"logTrimmedAt":0}',
    "do not agree",
  ],
  ["none", undefined, "its state is missing"],
])("an impossible state is reported as damaged when the file is opened: %s", async (_, text, what) => {
  await withData();
  const key = Buffer.from("state");
  const file = await StoreFile.open(folder.path);
  await file.transact(({ state }) => (text === undefined ? state.removeSync(key) : state.putSync(key, text)));
  await file.close();
  await expect(open()).rejects.toThrow(new RegExp(`the data file is damaged: .*${what}; restore a backup`));
});

it("an empty file is refused and left unchanged", async () => {
  writeFileSync(path.join(folder.path, storeFileName), "");
  await expect(open()).rejects.toThrow(/the data file is damaged: it is empty; restore a backup/);
});
