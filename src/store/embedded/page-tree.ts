import { readSync } from "node:fs";

import { damagedPages, readCount, type Tree } from "./file-format.ts";
import { claimFreePages, PageClaims } from "./page-claims.ts";
import { type OverflowValue, type PageNode, pageKinds, pageLayout, readNodes } from "./page-nodes.ts";

export interface PageFile {
  readonly file: number;
  readonly pageSize: number;
  /** Number of complete pages in the file. */
  readonly pages: number;
  /** The highest page number that was ever used. */
  readonly lastPage: number;
  /** The last committed transaction. */
  readonly transaction: number;
}

export interface Roots {
  /** Lists of free pages; the key is the transaction that freed them. */
  readonly free: Tree;
  /** One tree for each table; the key is the table's name. */
  readonly tables: Tree;
}

/** The depth that an lmdb cursor has room for. */
const maxDepth = 32;

/**
 * Walks the trees of free pages and of tables. Throws `DamageError` where lmdb would follow or overwrite a page with
 * wrong content: lmdb trusts all of it, and would end the process (an assertion, SIGBUS or SIGSEGV) or overwrite pages
 * in use. Every number that lmdb reads is checked against the file: kinds, positions and owners of pages, sizes and
 * order of nodes, the counts of each tree, and lists of free pages. Values of tables are not checked. Nobody may write
 * to the file meanwhile; see `inspectFile`.
 */
export function checkTrees(pageFile: PageFile, roots: Roots): void {
  const claims = new PageClaims(pageFile.lastPage);
  const lists: Buffer[] = [];
  new TreeWalk({
    pageFile,
    claims,
    tree: roots.free,
    keyOf: (key) => transactionKey(key, pageFile),
    onEntry: (node) => lists.push(freeListOf(pageFile, node)),
  }).run();
  const tables: Tree[] = [];
  const byBytes = (key: Buffer) => key;
  new TreeWalk({
    pageFile,
    claims,
    tree: roots.tables,
    keyOf: byBytes,
    onEntry: (node) => tables.push(treeOf(node)),
  }).run();
  for (const tree of tables)
    new TreeWalk({ pageFile, claims, tree, keyOf: byBytes, onEntry: refuseTree }).run();
  for (const list of lists) claimFreePages(list, claims);
}

/** Encoded so that byte order is the order of the numbers, as for all other keys. */
function transactionKey(key: Buffer, { transaction }: PageFile): Buffer {
  const number = key.length === 8 ? readCount(key, 0) : 0;
  if (number < 1 || number > transaction) throw damagedPages();
  return Buffer.from(key).reverse();
}

function freeListOf(pageFile: PageFile, node: PageNode): Buffer {
  if ("value" in node) return node.value;
  if (!("overflow" in node)) throw damagedPages();
  const { page, bytes } = node.overflow;
  const value = Buffer.alloc(bytes);
  const read = readSync(pageFile.file, value, 0, bytes, page * pageFile.pageSize + pageLayout.header);
  if (read !== bytes) throw damagedPages();
  return value;
}

function treeOf(node: PageNode): Tree {
  // Every table of this store compares keys byte by byte and has one value for a key.
  if (!("tree" in node) || node.tree.flags !== 0) throw damagedPages();
  return node.tree;
}

function refuseTree(node: PageNode): void {
  if ("tree" in node) throw damagedPages();
}

interface TreeWalkOptions {
  readonly pageFile: PageFile;
  /** Shared with the other trees. */
  readonly claims: PageClaims;
  readonly tree: Tree;
  /** The key as bytes in the order that keys must have. Throws `DamageError` for an invalid key. */
  readonly keyOf: (key: Buffer) => Buffer;
  readonly onEntry: (node: PageNode) => void;
}

/** Keys from `from` (inclusive) to `to` (exclusive). */
interface KeyRange {
  readonly from: Buffer | undefined;
  readonly to: Buffer | undefined;
}

class TreeWalk {
  readonly #options: TreeWalkOptions;
  #branchPages = 0;
  #leafPages = 0;
  #overflowPages = 0;
  #entries = 0;

  constructor(options: TreeWalkOptions) {
    this.#options = options;
  }

  run(): void {
    const { tree } = this.#options;
    if (tree.depth > maxDepth || (tree.root === undefined) !== (tree.depth === 0)) throw damagedPages();
    if (tree.root !== undefined) this.#walk(tree.root, 1, { from: undefined, to: undefined });
    const isAsKept =
      this.#branchPages === tree.branchPages &&
      this.#leafPages === tree.leafPages &&
      this.#overflowPages === tree.overflowPages &&
      this.#entries === tree.entries;
    if (!isAsKept) throw damagedPages();
  }

  #walk(number: number, level: number, range: KeyRange): void {
    this.#claim(number, 1);
    const { kind, nodes } = readNodes(this.#readPage(number));
    if ((kind === "leaf") !== (level === this.#options.tree.depth)) throw damagedPages();
    if (kind === "branch") this.#walkBranch(nodes, level, range);
    else this.#walkLeaf(nodes, range);
  }

  #walkBranch(nodes: readonly PageNode[], level: number, range: KeyRange): void {
    this.#branchPages += 1;
    if (nodes.length < 2) throw damagedPages();
    // The first key of a branch is empty and stands for the range's lower bound.
    const keys = nodes.map(({ key }, at) => (at === 0 ? range.from : this.#options.keyOf(key)));
    requireOrder(keys.slice(1), range);
    for (const [at, node] of nodes.entries()) {
      if (!("child" in node)) throw damagedPages();
      this.#walk(node.child, level + 1, { from: keys[at], to: keys[at + 1] ?? range.to });
    }
  }

  #walkLeaf(nodes: readonly PageNode[], range: KeyRange): void {
    this.#leafPages += 1;
    this.#entries += nodes.length;
    requireOrder(
      nodes.map(({ key }) => this.#options.keyOf(key)),
      range,
    );
    for (const node of nodes) {
      if ("overflow" in node) this.#checkOverflow(node.overflow);
      this.#options.onEntry(node);
    }
  }

  #checkOverflow({ page: first, pages, transaction, bytes }: OverflowValue): void {
    const { pageSize, transaction: last } = this.#options.pageFile;
    this.#claim(first, pages);
    this.#overflowPages += pages;
    const page = this.#readPage(first);
    const isOverflow = page.readUInt16LE(pageLayout.flagsAt) === pageKinds.overflow;
    const isWhole = page.readUInt32LE(pageLayout.pagesAt) === pages;
    const fits = pageLayout.header + bytes <= pages * pageSize;
    if (!isOverflow || !isWhole || !fits || transaction > last) throw damagedPages();
  }

  /** A free page at the end of the file may be missing; a page of a tree may not. */
  #claim(first: number, count: number): void {
    const { claims, pageFile } = this.#options;
    if (first + count > pageFile.pages) throw damagedPages();
    claims.claim(first, count);
  }

  /** lmdb would write in place, in its map of the file, to a page that claims a later transaction. */
  #readPage(number: number): Buffer {
    const { file, pageSize, transaction } = this.#options.pageFile;
    const page = Buffer.allocUnsafe(pageSize);
    const isWhole = readSync(file, page, 0, pageSize, number * pageSize) === pageSize;
    const hasItsNumber = isWhole && readCount(page, pageLayout.numberAt) === number;
    if (!hasItsNumber || readCount(page, pageLayout.transactionAt) > transaction) throw damagedPages();
    return page;
  }
}

function requireOrder(keys: readonly (Buffer | undefined)[], { from, to }: KeyRange): void {
  let before: Buffer | undefined;
  for (const key of keys) {
    if (key === undefined) throw damagedPages();
    const isLater =
      before === undefined ? from === undefined || key.compare(from) >= 0 : key.compare(before) > 0;
    if (!isLater) throw damagedPages();
    before = key;
  }
  if (before !== undefined && to !== undefined && before.compare(to) >= 0) throw damagedPages();
}
