import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";

/**
 * lmdb.h's MDB_page_header (24 bytes) and mdb.c's MDB_meta behind it, in native byte order: magic, version, address,
 * map size, two tables of 48 bytes (the first begins with the page size), last page, transaction.
 */
const layout = {
  magicAt: 24,
  versionAt: 28,
  pageSizeAt: 48,
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
  readonly lastPage: number;
  readonly transaction: bigint;
}

/**
 * Looks at the file before lmdb does, for two reasons. lmdb-js crashes the process when it opens a file that is none
 * of lmdb's: that throws here. And lmdb maps the file, so that reading a page that a truncated file does not have
 * kills the process (SIGBUS): a file shorter than its header says is filled up with zeros, which lmdb reports as damage
 * instead. True means that the file was short and has to be read whole before it is trusted; it need not be damaged,
 * since free pages at the end may never have been written. An empty file is a new store.
 */
export function inspectFile(path: string): boolean {
  const file = openSync(path, "r+");
  try {
    const { size } = fstatSync(file);
    if (size === 0) return false;
    const { pageSize, lastPage } = newestHeader(file);
    const whole = (lastPage + 1) * pageSize;
    if (!(whole <= sizeLimit)) throw new Error("its header is damaged");
    if (size >= whole) return false;
    ftruncateSync(file, whole);
    return true;
  } finally {
    closeSync(file);
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
    lastPage: Number(bytes.readBigUInt64LE(layout.lastPageAt)),
    transaction: bytes.readBigUInt64LE(layout.transactionAt),
  };
  const isPage = header.pageSize >= 256 && header.pageSize <= 65_536;
  const known =
    bytes.readUInt32LE(layout.magicAt) === magic && bytes.readUInt16LE(layout.versionAt) === version;
  if (!whole || !known || !isPage) throw new Error("it is damaged, or not a Gatehouse store");
  return header;
}
