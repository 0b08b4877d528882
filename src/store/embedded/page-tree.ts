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
const nodeFlags = { overflow: 1, tree: 2 } as const;
const emptyTree = 0xffff_ffff_ffff_ffffn;

export interface PageFile {
  readonly file: number;
  readonly pageSize: number;
  /** Whole pages that the file has. */
  readonly pages: number;
}

/**
 * Walks the trees from their roots and throws where a page of theirs is not in the file, or is not the page that it
 * should be: lmdb ends the process over some of these (an assertion, or SIGBUS). What is in a page's values is not
 * looked at. Nobody may be writing to the file; see `inspectFile`.
 */
export function checkTrees(pageFile: PageFile, roots: readonly bigint[]): void {
  const seen = new Set<number>();
  const waiting = roots.filter((root) => root !== emptyTree);
  for (let root = waiting.pop(); root !== undefined; root = waiting.pop()) {
    const number = claim(pageFile, seen, root, 1n);
    const page = readPage(pageFile, number);
    for (const child of childrenOf(page)) {
      if ("page" in child) waiting.push(child.page);
      else checkOverflow(pageFile, seen, child.overflow);
    }
  }
}

type Child = { readonly page: bigint } | { readonly overflow: bigint };

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

function checkOverflow(pageFile: PageFile, seen: Set<number>, first: bigint): void {
  const page = readPage(pageFile, claim(pageFile, seen, first, 1n));
  if ((page.readUInt16LE(layout.flagsAt) & pageFlags.overflow) === 0) throw damaged();
  const count = page.readUInt32LE(layout.pagesAt);
  if (count < 1 || first + BigInt(count) > BigInt(pageFile.pages)) throw damaged();
  for (let next = 1n; next < BigInt(count); next += 1n) claim(pageFile, seen, first + next, 1n);
}

function childrenOf(page: Buffer): readonly Child[] {
  const flags = page.readUInt16LE(layout.flagsAt);
  const isBranch = (flags & pageFlags.branch) !== 0;
  if (isBranch === ((flags & pageFlags.leaf) !== 0)) throw damaged();
  const [lower, upper] = [page.readUInt16LE(layout.lowerAt), page.readUInt16LE(layout.upperAt)];
  if (lower === 0 || lower > upper || layout.header + upper > page.length) throw damaged();
  return Array.from({ length: lower >> 1 }, (_, at) => {
    const offset = page.readUInt16LE(layout.header + 2 * at);
    if (offset < upper) throw damaged();
    const node = layout.header + offset;
    return isBranch ? [{ page: branchTarget(page, node) }] : leafTargets(page, node);
  }).flat();
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
  if (isElsewhere) return [{ overflow: page.readBigUInt64LE(data) }];
  if ((flags & nodeFlags.tree) === 0) return [];
  if (data + layout.treeBytes > page.length) throw damaged();
  const root = page.readBigUInt64LE(data + layout.treeRootAt);
  return root === emptyTree ? [] : [{ page: root }];
}

function damaged(): Error {
  return new DamageError("pages of it are missing, or hold something else than they should");
}
