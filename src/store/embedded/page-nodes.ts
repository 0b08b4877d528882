import { damagedPages, readCount, readTree, type Tree, treeBytes } from "./file-format.ts";

/** mdb.c's MDB_page_header, MDB_node and MDB_ovpage in native byte order: the file format that lmdb-js 3 reads. */
export const pageLayout = {
  numberAt: 0,
  transactionAt: 8,
  flagsAt: 18,
  /**
   * Where node offsets end and nodes begin, counted from the end of the header. In an overflow page this is the number
   * of its pages.
   */
  lowerAt: 20,
  upperAt: 22,
  pagesAt: 20,
  header: 24,
} as const;
const nodeLayout = { flagsAt: 4, keySizeAt: 6, bytes: 8 } as const;
const overflowLayout = { transactionAt: 8, pagesAt: 16, bytes: 24 } as const;

/** A page is of exactly one kind. This store's trees have no other kind. */
export const pageKinds = { branch: 1, leaf: 2, overflow: 4 } as const;
const nodeKinds = { value: 0, overflow: 1, tree: 2 } as const;

export type PageNode = { readonly key: Buffer } & (
  | { readonly child: number }
  | { readonly value: Buffer }
  | { readonly tree: Tree }
  | { readonly overflow: OverflowValue }
);

/** A value that has pages of its own. */
export interface OverflowValue {
  readonly page: number;
  readonly pages: number;
  readonly transaction: number;
  readonly bytes: number;
}

/**
 * The nodes of a branch or leaf page, in the order of their keys. Throws `DamageError` if lmdb would read or write
 * outside the page.
 */
export function readNodes(page: Buffer): {
  readonly kind: "branch" | "leaf";
  readonly nodes: readonly PageNode[];
} {
  const kind = page.readUInt16LE(pageLayout.flagsAt);
  if (kind !== pageKinds.branch && kind !== pageKinds.leaf) throw damagedPages();
  const isBranch = kind === pageKinds.branch;
  const offsets = readOffsets(page);
  requirePacked(page, offsets, isBranch);
  const read = isBranch ? readBranchNode : readLeafNode;
  return { kind: isBranch ? "branch" : "leaf", nodes: offsets.map((at) => read(page, at)) };
}

function readOffsets(page: Buffer): readonly number[] {
  const [lower, upper] = [page.readUInt16LE(pageLayout.lowerAt), page.readUInt16LE(pageLayout.upperAt)];
  const isInPage = lower <= upper && pageLayout.header + upper <= page.length;
  if (lower === 0 || lower % 2 === 1 || !isInPage) throw damagedPages();
  return Array.from(
    { length: lower / 2 },
    (_, n) => pageLayout.header + page.readUInt16LE(pageLayout.header + 2 * n),
  );
}

/**
 * lmdb lays nodes end to end, each with an even size, from `upper` to the end of the page, and moves them by their
 * sizes. With a wrong size it writes outside the page.
 */
function requirePacked(page: Buffer, offsets: readonly number[], isBranch: boolean): void {
  let end = pageLayout.header + page.readUInt16LE(pageLayout.upperAt);
  for (const at of offsets.toSorted((a, b) => a - b)) {
    if (at !== end || at + nodeLayout.bytes > page.length) throw damagedPages();
    end = at + nodeLayout.bytes + page.readUInt16LE(at + nodeLayout.keySizeAt);
    if (!isBranch) end += valueBytes(page, at);
    end += end % 2;
  }
  if (end !== page.length) throw damagedPages();
}

function valueBytes(page: Buffer, at: number): number {
  const isElsewhere = page.readUInt16LE(at + nodeLayout.flagsAt) === nodeKinds.overflow;
  return isElsewhere ? overflowLayout.bytes : page.readUInt32LE(at);
}

function keyOf(page: Buffer, at: number): Buffer {
  const from = at + nodeLayout.bytes;
  return page.subarray(from, from + page.readUInt16LE(at + nodeLayout.keySizeAt));
}

/** A branch node holds a page number of 48 bits in the bytes where a leaf node has size and flags. */
function readBranchNode(page: Buffer, at: number): PageNode {
  return { key: keyOf(page, at), child: page.readUIntLE(at, 6) };
}

function readLeafNode(page: Buffer, at: number): PageNode {
  const key = keyOf(page, at);
  const data = at + nodeLayout.bytes + key.length;
  const bytes = page.readUInt32LE(at);
  switch (page.readUInt16LE(at + nodeLayout.flagsAt)) {
    case nodeKinds.value:
      return { key, value: page.subarray(data, data + bytes) };
    case nodeKinds.tree:
      if (bytes !== treeBytes) throw damagedPages();
      return { key, tree: readTree(page, data) };
    case nodeKinds.overflow: {
      const [number, transaction, pages] = [
        readCount(page, data),
        readCount(page, data + overflowLayout.transactionAt),
        readCount(page, data + overflowLayout.pagesAt),
      ];
      return { key, overflow: { page: number, transaction, pages, bytes } };
    }
    default:
      throw damagedPages();
  }
}
