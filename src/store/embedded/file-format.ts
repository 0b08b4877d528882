import { DamageError } from "./damage.ts";

/** mdb.c's MDB_db in native byte order: the file format that lmdb-js 3 reads. */
const treeLayout = {
  flagsAt: 4,
  depthAt: 6,
  branchPagesAt: 8,
  leafPagesAt: 16,
  overflowPagesAt: 24,
  entriesAt: 32,
  rootAt: 40,
} as const;
/** Size of a `Tree` in the file, bytes. */
export const treeBytes = 48;

const noPage = 0xffff_ffff_ffff_ffffn;

/** lmdb's record about one B+ tree of pages. */
export interface Tree {
  /** How keys are compared, and whether a key may have several values. */
  readonly flags: number;
  /** Number of levels. */
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  /** Undefined if the tree is empty. */
  readonly root: number | undefined;
}

export function readTree(bytes: Buffer, at: number): Tree {
  const root = bytes.readBigUInt64LE(at + treeLayout.rootAt);
  return {
    flags: bytes.readUInt16LE(at + treeLayout.flagsAt),
    depth: bytes.readUInt16LE(at + treeLayout.depthAt),
    branchPages: readCount(bytes, at + treeLayout.branchPagesAt),
    leafPages: readCount(bytes, at + treeLayout.leafPagesAt),
    overflowPages: readCount(bytes, at + treeLayout.overflowPagesAt),
    entries: readCount(bytes, at + treeLayout.entriesAt),
    root: root === noPage ? undefined : Number(root),
  };
}

/** Exact up to 2^53, far above any count that a file can hold. */
export function readCount(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

export function damagedPages(): DamageError {
  return new DamageError("pages of it are missing, or hold something else than they should");
}
