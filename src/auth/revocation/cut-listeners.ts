import type { Cut } from "./revocation.ts";

export type CutListener = (cut: Cut) => number;

/** Whoever acts on cuts. One that throws stops neither the others nor the revocation. */
export interface CutListeners {
  /** Tells all of them, now, and returns how many sockets they closed. */
  tell(cut: Cut): number;
  add(listener: CutListener): () => void;
}

export function createCutListeners(onFault: (error: unknown) => void): CutListeners {
  const listeners = new Set<{ readonly listener: CutListener }>();
  const tellOne = (listener: CutListener, cut: Cut): number => {
    try {
      return listener(cut);
    } catch (error) {
      onFault(error);
      return 0;
    }
  };
  return {
    tell(cut) {
      let closed = 0;
      for (const { listener } of listeners) closed += tellOne(listener, cut);
      return closed;
    },
    add(listener) {
      const entry = { listener };
      listeners.add(entry);
      return () => {
        listeners.delete(entry);
      };
    },
  };
}
