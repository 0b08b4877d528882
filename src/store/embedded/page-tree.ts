import { readSync } from "node:fs";

import { DamageError } from "./damage.ts";

/** mdb.c's MDB_page_header, MDB_node, MDB_db and MDB_ovpage, in native byte order, of the file format that lmdb-js 3 reads. */
const layout = {
  header: 24,
  flagsAt: 18,
  lowerAt: 20,
  upperAt: 22,
  pagesAt: 20,
  node: { flagsAt: 4, keySizeAt: 6, bytes: 8 },
  treeRootAt: 40,
  treeBytes: 48,
  overflowBytes: 24,
} as const;
const pageFlags = { branch: 1, leaf: 2, overflow: 4 } as const;
/** Kinds of pages that this store's trees have none of: headers, keys of one length, and pages within pages. */
const otherKinds = 0x08 | 0x20 | 0x40;
const nodeFlags = { overflow: 1, tree: 2 } as const;
const emptyTree = 0xffff_ffff_ffff_ffffn;

export interface PageFile {
  readonly file: number;
  readonly pageSize: number;
  /** Whole pages that the file has. */
  readonly pages: number;
  /** Of the pages that were ever used. */
  readonly lastPage: number;
}

/**
 * Walks the trees from their roots, that of the free pages and that of the tables, and throws where a page of theirs is not
 * in the file, or is not the page that it should be, or is said to be free: lmdb ends the process over some of these (an
 * assertion, or SIGBUS), or writes over pages that are in use. What is in a page's values is not looked at, but for the
 * lists of free pages. Nobody may be writing to the file; see `inspectFile`.
 */
export function checkTrees(pageFile: PageFile, free: bigint, tables: bigint): void {
  const seen = new Set<number>();
  const lists: Buffer[] = [];
  walk(pageFile, seen, free, (list) => lists.push(list));
  walk(pageFile, seen, tables);
  for (const list of lists) checkFree(pageFile, seen, list);
}

function walk(
  pageFile: PageFile,
  seen: Set<number>,
  from: bigint,
  onFreeList?: (list: Buffer) => void,
): void {
  const waiting = from === emptyTree ? [] : [from];
  for (let root = waiting.pop(); root !== undefined; root = waiting.pop()) {
    const number = claim(pageFile, seen, root, 1n);
    const page = readPage(pageFile, number);
    for (const child of childrenOf(page)) {
      if ("page" in child) waiting.push(child.page);
      else if ("value" in child) onFreeList?.(child.value);
      else {
        checkOverflow(pageFile, seen, child.overflow, child.bytes);
        onFreeList?.(readOverflow(pageFile, child));
      }
    }
  }
}

/**
 * lmdb-js's list of free pages: how many words follow, then page numbers, each of which a negative word may come before
 * that says how many pages begin there, and zeros. What lies behind the words that count is not read by lmdb either.
 */
function checkFree({ lastPage }: PageFile, used: ReadonlySet<number>, list: Buffer): void {
  const words = Array.from({ length: list.length >> 3 }, (_, at) => list.readBigInt64LE(at * 8));
  const count = words[0];
  if (count === undefined || count < 0n || count >= BigInt(words.length)) throw damaged();
  let block = 1n;
  for (const word of words.slice(1, Number(count) + 1)) {
    if (word < 0n) {
      block = -word;
      continue;
    }
    if (word !== 0n) requireFree(lastPage, used, word, block);
    block = 1n;
  }
}

function requireFree(lastPage: number, used: ReadonlySet<number>, first: bigint, count: bigint): void {
  // The first two pages are the headers.
  if (first < 2n || first + count > BigInt(lastPage) + 1n) throw damaged();
  for (let page = first; page < first + count; page += 1n) if (used.has(Number(page))) throw damaged();
}

type Child =
  | { readonly page: bigint }
  | { readonly value: Buffer }
  | { readonly overflow: bigint; readonly bytes: number };

/** A page in two places is damage too, and would be walked for ever. */
function claim({ pages }: PageFile, seen: Set<number>, page: bigint, count: bigint): number {
  if (count < 1n || page + count > BigInt(pages) || seen.has(Number(page))) throw damaged();
  seen.add(Number(page));
  return Number(page);
}

function readPage({ file, pageSize }: PageFile, number: number): Buffer {
  const page = Buffer.alloc(pageSize);
  const read = readSync(file, page, 0, pageSize, number * pageSize);
  if (read !== pageSize || page.readBigUInt64LE(0) !== BigInt(number)) throw damaged();
  return page;
}

function checkOverflow(pageFile: PageFile, seen: Set<number>, first: bigint, bytes: number): void {
  const page = readPage(pageFile, claim(pageFile, seen, first, 1n));
  if ((page.readUInt16LE(layout.flagsAt) & pageFlags.overflow) === 0) throw damaged();
  const count = page.readUInt32LE(layout.pagesAt);
  if (count < 1 || first + BigInt(count) > BigInt(pageFile.pages)) throw damaged();
  if (layout.header + bytes > count * pageFile.pageSize) throw damaged();
  for (let next = 1n; next < BigInt(count); next += 1n) claim(pageFile, seen, first + next, 1n);
}

function readOverflow(
  { file, pageSize }: PageFile,
  { overflow, bytes }: { readonly overflow: bigint; readonly bytes: number },
): Buffer {
  const value = Buffer.alloc(bytes);
  if (readSync(file, value, 0, bytes, Number(overflow) * pageSize + layout.header) !== bytes) throw damaged();
  return value;
}

function childrenOf(page: Buffer): readonly Child[] {
  const flags = page.readUInt16LE(layout.flagsAt);
  const isBranch = (flags & pageFlags.branch) !== 0;
  if (isBranch === ((flags & pageFlags.leaf) !== 0)) throw damaged();
  if ((flags & (pageFlags.overflow | otherKinds)) !== 0) throw damaged();
  const [lower, upper] = [page.readUInt16LE(layout.lowerAt), page.readUInt16LE(layout.upperAt)];
  if (lower === 0 || lower % 2 === 1 || lower > upper || layout.header + upper > page.length) throw damaged();
  const nodes = Array.from({ length: lower >> 1 }, (_, at) => {
    const offset = page.readUInt16LE(layout.header + 2 * at);
    if (offset < upper) throw damaged();
    return layout.header + offset;
  });
  requireApart(page, nodes, isBranch);
  return nodes.flatMap((node) => (isBranch ? [{ page: branchTarget(page, node) }] : leafTargets(page, node)));
}

/** lmdb moves nodes by their sizes: where one is wrong it writes behind the page. */
function requireApart(page: Buffer, nodes: readonly number[], isBranch: boolean): void {
  let end = 0;
  for (const node of nodes.toSorted((a, b) => a - b)) {
    if (node < end || node + layout.node.bytes > page.length) throw damaged();
    const isElsewhere = (page.readUInt16LE(node + layout.node.flagsAt) & nodeFlags.overflow) !== 0;
    const size = isElsewhere ? layout.overflowBytes : page.readUInt32LE(node);
    end = node + layout.node.bytes + page.readUInt16LE(node + layout.node.keySizeAt) + (isBranch ? 0 : size);
  }
}

/** A node of a branch keeps a page number of 48 bits where one of a leaf has its size and flags. */
function branchTarget(page: Buffer, node: number): bigint {
  if (node + layout.node.bytes > page.length) throw damaged();
  if (node + layout.node.bytes + page.readUInt16LE(node + layout.node.keySizeAt) > page.length)
    throw damaged();
  return BigInt(page.readUIntLE(node, 6));
}

function leafTargets(page: Buffer, node: number): readonly Child[] {
  if (node + layout.node.bytes > page.length) throw damaged();
  const flags = page.readUInt16LE(node + layout.node.flagsAt);
  const data = node + layout.node.bytes + page.readUInt16LE(node + layout.node.keySizeAt);
  const isElsewhere = (flags & nodeFlags.overflow) !== 0;
  const size = isElsewhere ? layout.overflowBytes : page.readUInt32LE(node);
  if ((flags & ~(nodeFlags.overflow | nodeFlags.tree)) !== 0 || data + size > page.length) throw damaged();
  if (isElsewhere) return [{ overflow: page.readBigUInt64LE(data), bytes: page.readUInt32LE(node) }];
  if ((flags & nodeFlags.tree) === 0) return [{ value: page.subarray(data, data + size) }];
  if (data + layout.treeBytes > page.length) throw damaged();
  const root = page.readBigUInt64LE(data + layout.treeRootAt);
  return root === emptyTree ? [] : [{ page: root }];
}

function damaged(): Error {
  return new DamageError("pages of it are missing, or hold something else than they should");
}
