import type { Random } from "../../chaos/random.ts";
import type { Recorded } from "./recording.ts";

/** What a disk writes atomically. */
const sector = 512;

export interface CrashOptions {
  /** False: the disk loses what `fdatasync` should have kept (the negative control). */
  readonly syncs: boolean;
}

export interface Crash {
  /** The file's content afterwards; empty if there is no file. */
  readonly image: Buffer;
  /** What had been acknowledged before. */
  readonly acknowledged: readonly number[];
}

type Write = Extract<Recorded, { kind: "write" }>;

/** Lines of the trace at which the power may fail: around the start and the end of everything that syncs. */
export function syncPoints(recorded: readonly Recorded[]): readonly number[] {
  const lines = recorded.flatMap((one) =>
    one.kind !== "acknowledged" && (one.kind !== "write" || one.synchronous)
      ? [one.begin - 1, one.begin, one.end - 1, one.end]
      : [],
  );
  return [...new Set(lines)].sort((a, b) => a - b);
}

/**
 * The power fails after line `at`. What was synced is there. Of what was written and not synced, any sectors may be
 * there, in any mixture; if none of a write is there, the file may end before it.
 */
export function crash(
  recorded: readonly Recorded[],
  at: number,
  random: Random,
  options: CrashOptions,
): Crash {
  const begun = recorded.filter(({ begin }) => begin <= at);
  const syncedAt = Math.max(
    -1,
    ...begun.flatMap((one) => (one.kind === "sync" && one.end <= at && options.syncs ? [one.begin] : [])),
  );
  const isDurable = ({ end, synchronous }: Write) => (synchronous ? end <= at : end < syncedAt);
  const image = new Image();
  for (const one of begun) {
    if (one.kind !== "write") continue;
    if (isDurable(one)) image.write(one.offset, one.bytes);
    else tear(image, one, random);
  }
  const acknowledged = begun.flatMap((one) => (one.kind === "acknowledged" ? [one.n] : []));
  return { image: hasName(recorded, at, random) ? image.bytes : Buffer.alloc(0), acknowledged };
}

/** A name exists once its folder was synced; before that it may exist. */
function hasName(recorded: readonly Recorded[], at: number, random: Random): boolean {
  const named = recorded.find(({ kind }) => kind === "named");
  if (named === undefined || named.begin > at) return false;
  const isSynced = recorded.some(
    (one) => one.kind === "names_synced" && one.begin > named.begin && one.end <= at,
  );
  return isSynced || random.chance(0.5);
}

function tear(image: Image, { offset, bytes }: Write, random: Random): void {
  // Often all or nothing: mixtures alone would rarely leave a page whole.
  const share = random.pick([0, 0.5, 1]);
  let from = 0;
  while (from < bytes.length) {
    const to = Math.min(bytes.length, from + sector - ((offset + from) % sector));
    if (random.chance(share)) image.write(offset + from, bytes.subarray(from, to));
    from = to;
  }
}

/** A file that grows; holes read as zeros. */
class Image {
  #buffer = Buffer.alloc(1 << 20);
  #length = 0;

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  write(offset: number, bytes: Buffer): void {
    const end = offset + bytes.length;
    if (end > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(larger);
      this.#buffer = larger;
    }
    bytes.copy(this.#buffer, offset);
    this.#length = Math.max(this.#length, end);
  }
}
