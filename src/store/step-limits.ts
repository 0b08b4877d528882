import type { IndexKey, RecordKey, Step } from "../auth/store.ts";

/**
 * Limits that both adapters enforce, so that each takes what the other takes (lmdb's keys end at 1978 bytes). Names
 * come from record-keys.ts and stay far below. A violation is a programming error and rejects before anything is
 * written.
 */
export const stepLimits = {
  /** UTF-8 bytes of a record key, an index key or a member. */
  nameBytes: 512,
  /** Bytes of one value or event as JSON. */
  valueBytes: 1_048_576,
  /** All operations of one step. */
  operations: 10_000,
  /** Members of one page of `list`. */
  page: 1000,
  /** The highest version to raise to. Versions above it could reach 2^53, where integers stop being exact. */
  version: 9e15,
} as const;

/** A record to write. Its value is already JSON text, so a value that cannot be stored fails before the first write. */
export interface PreparedPut {
  readonly key: RecordKey;
  readonly json: string;
  readonly expiresAt: number | undefined;
}

/** A step with every limit checked and every value serialised. */
export interface PreparedStep {
  readonly check: readonly { readonly key: RecordKey; readonly version: number }[];
  readonly put: readonly PreparedPut[];
  readonly remove: readonly RecordKey[];
  readonly link: readonly { readonly index: IndexKey; readonly member: string }[];
  readonly unlink: readonly { readonly index: IndexKey; readonly member: string }[];
  readonly bumpEpochs: readonly RecordKey[];
  readonly raiseEpochsTo: readonly { readonly key: RecordKey; readonly version: number }[];
  /** JSON texts. */
  readonly log: readonly string[];
}

/** Throws RangeError for a step outside the limits. */
export function prepareStep(step: Step): PreparedStep {
  const prepared: PreparedStep = {
    check: step.check ?? [],
    put: (step.put ?? []).map(({ key, value, expiresAt }) => ({
      key,
      json: jsonOf(value),
      expiresAt: expiresAt === undefined ? undefined : Math.max(1, Math.ceil(expiresAt)),
    })),
    remove: step.remove ?? [],
    link: step.link ?? [],
    unlink: step.unlink ?? [],
    bumpEpochs: step.bumpEpochs ?? [],
    raiseEpochsTo: step.raiseEpochsTo ?? [],
    log: (step.log ?? []).map(jsonOf),
  };
  checkNames(prepared);
  return prepared;
}

function checkNames(step: PreparedStep): void {
  for (const { key } of step.check) checkName(key);
  for (const { key } of [...step.put, ...step.raiseEpochsTo]) checkName(key);
  for (const key of [...step.remove, ...step.bumpEpochs]) checkName(key);
  for (const { index, member } of [...step.link, ...step.unlink]) {
    checkName(index);
    checkName(member);
  }
  const operations = Object.values(step).reduce((sum, list: readonly unknown[]) => sum + list.length, 0);
  if (operations > stepLimits.operations) throw new RangeError(`a step of ${operations} operations`);
  for (const { expiresAt } of step.put) {
    if (expiresAt !== undefined && !Number.isSafeInteger(expiresAt))
      throw new RangeError("expiresAt is not a time");
  }
  for (const { version } of step.raiseEpochsTo) {
    if (!Number.isInteger(version) || version < 0 || version > stepLimits.version)
      throw new RangeError("a version to raise to is invalid");
  }
}

/**
 * Throws RangeError for a name that no store takes: empty, too long, or with the NUL that separates index and member.
 */
export function checkName(name: string): void {
  const fine = name !== "" && !name.includes("\0") && Buffer.byteLength(name) <= stepLimits.nameBytes;
  if (!fine) throw new RangeError("a key or member is empty, too long or holds a NUL");
}

export function checkPage(limit: number): void {
  const fine = Number.isInteger(limit) && limit >= 1 && limit <= stepLimits.page;
  if (!fine) throw new RangeError(`a page has 1 to ${stepLimits.page} members`);
}

export function checkCount(count: number): void {
  const fine = Number.isSafeInteger(count) && count >= 0;
  if (!fine) throw new RangeError("a count is an integer of 0 or more");
}

function jsonOf(value: object): string {
  const json = JSON.stringify(value);
  if (Buffer.byteLength(json) > stepLimits.valueBytes) throw new RangeError("a value is too large");
  return json;
}
