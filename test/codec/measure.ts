import { CodecError } from "../../src/codec/codec.ts";

/** Why a codec refused; undefined if it did not. Any other error is rethrown. */
export function reasonOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof CodecError) return error.message;
    throw error;
  }
  return undefined;
}

/** Milliseconds of the fastest of some runs: the cost without other load of the machine. */
export function quickest(run: () => unknown, runs = 7): number {
  let best = Number.POSITIVE_INFINITY;
  for (let count = 0; count < runs; count++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

const usual = `[${"1,".repeat(250_000)}1]`;

/** Milliseconds that `JSON.parse` takes for half a million characters, on this machine and just now. */
export function usualMs(): number {
  return quickest(() => JSON.parse(usual));
}
