import { CodecError } from "../../src/codec/codec.ts";

/** Why a codec refused; undefined when it did not. Any other error goes on. */
export function reasonOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof CodecError) return error.message;
    throw error;
  }
  return undefined;
}

/** Milliseconds of the quickest of some runs: what it costs, without what else the machine did meanwhile. */
export function quickest(run: () => unknown, runs = 7): number {
  let best = Number.POSITIVE_INFINITY;
  for (let count = 0; count < runs; count++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
