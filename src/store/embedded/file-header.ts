import { closeSync, fstatSync, openSync, readSync } from "node:fs";

import { DamageError } from "./damage.ts";
import { readCount, readTree, treeBytes } from "./file-format.ts";
import { pageLayout } from "./page-nodes.ts";
import { checkTrees, type Roots } from "./page-tree.ts";

/**
 * lmdb.h's MDB_page_header and, behind it, mdb.c's MDB_meta, in native byte order: magic, version, address, map size,
 * the trees of free pages and of tables, last page, transaction. The page size and the file's flags are in the record
 * of the free-page tree.
 */
const layout = {
  magicAt: 24,
  versionAt: 28,
  pageSizeAt: 48,
  freeAt: 48,
  tablesAt: 48 + treeBytes,
  lastPageAt: 144,
  transactionAt: 152,
  bytes: 160,
} as const;
const magic = 0xbeefc0de;
/** Of the file format that lmdb-js 3 reads. */
const version = 2;
const headerKind = 8;
/** MDB_NOSUBDIR, which this store sets, and MDB_INTEGERKEY, which lmdb sets for free pages. */
const freeFlags = 0x4000 | 0x0008;

/** Address space that is mapped, in bytes. It also bounds the file's size. */
export const sizeLimit = 2 ** 36;

interface Header {
  readonly pageSize: number;
  readonly roots: Roots;
  readonly lastPage: number;
  readonly transaction: number;
}

/** How often the file is inspected again if another process writes to it. */
const maxInspections = 5;
/** How often the headers are read again if another process writes between the two reads. */
const headerReads = 10;

/**
 * Inspects the file before lmdb opens it. Throws where lmdb would end the process: lmdb crashes on a file that is not
 * its own, and because it maps the file, it dies (SIGBUS, or an assertion) on a page that a truncated file lacks. A
 * file that is shorter than its header says is not always damaged, since free pages at the end may never have been
 * written; its trees tell. With `thorough` the trees of a complete file are walked too, because lmdb also ends the
 * process on a page with wrong content. An empty file is damage: this store never leaves one. NOT noticed: changes
 * inside values; changes inside keys that keep their order; anything that changes the file while it is open.
 */
export function inspectFile(path: string, { thorough }: { readonly thorough: boolean }): void {
  const file = openSync(path, "r");
  try {
    let looks = 1;
    while (!isSound(file, thorough) && looks < maxInspections) looks += 1;
  } finally {
    closeSync(file);
  }
}

/** False if another process went on meanwhile: it may have reused pages that were inspected, so nothing is known. */
function isSound(file: number, thorough: boolean): boolean {
  if (fstatSync(file).size === 0) throw new DamageError("it is empty");
  const { pageSize, roots, lastPage, transaction } = newestHeader(file);
  // After the headers were read: the file only grows, so everything that the header names is within this size.
  const { size } = fstatSync(file);
  const whole = (lastPage + 1) * pageSize;
  if (!(whole <= sizeLimit) || lastPage < 1) throw damagedHeader();
  if (size >= whole && !thorough) return true;
  const pages = Math.min(Math.floor(size / pageSize), lastPage + 1);
  try {
    checkTrees({ file, pageSize, pages, lastPage, transaction }, roots);
    return true;
  } catch (error) {
    if (newestHeader(file).transaction === transaction) throw error;
    return false;
  }
}

/**
 * The header of the later transaction counts. Transactions alternate between the two pages, so the other header belongs
 * to the transaction before. Otherwise a header is damaged, or another process wrote between the two reads.
 */
function newestHeader(file: number): Header {
  for (let read = 1; ; read += 1) {
    const first = headerAt(file, 0, 0);
    const second = headerAt(file, first.pageSize, 1);
    const [older, newest] = second.transaction > first.transaction ? [first, second] : [second, first];
    const isOfThePage = newest.transaction % 2 === (newest === second ? 1 : 0);
    if (newest.transaction === older.transaction + 1 && isOfThePage) return newest;
    if (newest.transaction === 0) return newest;
    if (read === headerReads) throw damagedHeader();
  }
}

function headerAt(file: number, offset: number, number: number): Header {
  const bytes = Buffer.alloc(layout.bytes);
  const isWhole = readSync(file, bytes, 0, layout.bytes, offset) === layout.bytes;
  const isHeader =
    bytes.readUInt32LE(layout.magicAt) === magic && bytes.readUInt16LE(layout.versionAt) === version;
  const pageSize = bytes.readUInt32LE(layout.pageSizeAt);
  const isSize = pageSize >= 256 && pageSize <= 65_536;
  const roots = { free: readTree(bytes, layout.freeAt), tables: readTree(bytes, layout.tablesAt) };
  const isOurs =
    readCount(bytes, pageLayout.numberAt) === number &&
    bytes.readUInt16LE(pageLayout.flagsAt) === headerKind &&
    roots.free.flags === freeFlags &&
    roots.tables.flags === 0;
  if (!isWhole || !isHeader || !isSize || !isOurs)
    throw new Error("it is damaged, or not a Gatehouse store: restore a backup");
  return {
    pageSize,
    roots,
    lastPage: readCount(bytes, layout.lastPageAt),
    transaction: readCount(bytes, layout.transactionAt),
  };
}

function damagedHeader(): DamageError {
  return new DamageError("its header holds something else than it should");
}
