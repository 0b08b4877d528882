import type { RevocationEvent } from "./revocation.ts";

export type RevocationListener = (cut: RevocationEvent) => number;

/** Whoever acts on cuts. One that throws stops neither the others nor the revocation. */
export interface RevocationListeners {
  /** Tells all of them, now, and returns how many sockets they closed. */
  tell(cut: RevocationEvent): number;
  add(listener: RevocationListener): () => void;
}

export function createRevocationListeners(onFault: (error: unknown) => void): RevocationListeners {
  const listeners = new Set<{ readonly listener: RevocationListener }>();
  const tellOne = (listener: RevocationListener, cut: RevocationEvent): number => {
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
