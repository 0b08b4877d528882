import { closeSync, fstatSync, openSync, readSync } from "node:fs";

import { DamageError } from "./damage.ts";
import { checkTrees } from "./page-tree.ts";

/**
 * lmdb.h's MDB_page_header (24 bytes) and mdb.c's MDB_meta behind it, in native byte order: magic, version, address,
 * map size, two trees of 48 bytes (free pages, whose first word is the page size, and tables; the root ends each), last
 * page, transaction.
 */
const layout = {
  magicAt: 24,
  versionAt: 28,
  pageSizeAt: 48,
  rootsAt: { free: 88, tables: 136 },
  lastPageAt: 144,
  transactionAt: 152,
  bytes: 160,
} as const;
const magic = 0xbeefc0de;
/** Of the file format that lmdb-js 3 reads. */
const version = 2;

/** Address space that is mapped; also the largest file. */
export const sizeLimit = 2 ** 36;

interface Header {
  readonly pageSize: number;
  readonly roots: { readonly free: bigint; readonly tables: bigint };
  readonly lastPage: number;
  readonly transaction: bigint;
}

/**
 * Looks at the file before lmdb does, and throws where lmdb would end the process: it crashes when it opens a file that
 * is none of lmdb's, and it maps the file, so that it dies over a page that a truncated file does not have (SIGBUS, or an
 * assertion). A file that is shorter than its header says need not be damaged, since free pages at the end may never
 * have been written; its trees tell. The trees of a whole file are walked too if it is to be `thorough`: lmdb ends the
 * process over a page that is not what it should be. An empty file was never written by this store, which makes its file
 * whole. NOT noticed: changes inside values, and what is done to the file while it is open.
 */
export function inspectFile(path: string, { thorough }: { readonly thorough: boolean }): void {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    if (size === 0) throw new DamageError("it is empty");
    const header = newestHeader(file);
    const whole = (header.lastPage + 1) * header.pageSize;
    if (!(whole <= sizeLimit)) throw new DamageError("its header holds something else than it should");
    if (size < whole || thorough) checkPages(file, size, header);
  } finally {
    closeSync(file);
  }
}

function checkPages(file: number, size: number, { pageSize, roots, lastPage, transaction }: Header): void {
  try {
    const pages = Math.min(Math.floor(size / pageSize), lastPage + 1);
    checkTrees({ file, pageSize, pages, lastPage }, roots.free, roots.tables);
  } catch (error) {
    // Another process went on meanwhile, and may have used pages again that were looked at.
    if (newestHeader(file).transaction === transaction) throw error;
  }
}

/** Both of lmdb's headers have to be there; the one of the later transaction counts. */
function newestHeader(file: number): Header {
  const first = headerAt(file, 0);
  const second = headerAt(file, first.pageSize);
  return second.transaction > first.transaction ? second : first;
}

function headerAt(file: number, offset: number): Header {
  const bytes = Buffer.alloc(layout.bytes);
  const whole = readSync(file, bytes, 0, layout.bytes, offset) === layout.bytes;
  const header = {
    pageSize: bytes.readUInt32LE(layout.pageSizeAt),
    roots: {
      free: bytes.readBigUInt64LE(layout.rootsAt.free),
      tables: bytes.readBigUInt64LE(layout.rootsAt.tables),
    },
    lastPage: Number(bytes.readBigUInt64LE(layout.lastPageAt)),
    transaction: bytes.readBigUInt64LE(layout.transactionAt),
  };
  const isPage = header.pageSize >= 256 && header.pageSize <= 65_536;
  const known =
    bytes.readUInt32LE(layout.magicAt) === magic && bytes.readUInt16LE(layout.versionAt) === version;
  if (!whole || !known || !isPage)
    throw new Error("it is damaged, or not a Gatehouse store: restore a backup");
  return header;
}
