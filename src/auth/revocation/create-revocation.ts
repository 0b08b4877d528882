import type { Clock } from "../clock.ts";
import { newId } from "../ids.ts";
import type { Weakened } from "../protections.ts";
import type { LogEntry, Store } from "../store.ts";
import { createCutListeners } from "./cut-listeners.ts";
import { createFeedTrust } from "./feed-trust.ts";
import { createJournal, type Journal } from "./journal.ts";
import type { Revocation } from "./revocation.ts";
import { createSessionEnding } from "./session-ending.ts";
import { createUserEnding } from "./user-ending.ts";
import { createRevocationView, type GrowingView } from "./view.ts";

export interface RevocationOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** The longest life of an ordinary access token, ms: how far back the view has to remember. */
  readonly longestTokenMs: number;
  readonly weakened?: Weakened;
  /** Told of a listener that threw; the revocation itself stands. */
  readonly onListenerFault?: (error: unknown) => void;
  /** The log says that some node changed the signing keys; may come twice. */
  readonly onKeyringChanged?: () => void;
}

/** The one way to take something away, and the way in which everything that logs commits. */
export function createRevocation(
  options: RevocationOptions,
): Revocation & Journal & { readonly view: GrowingView } {
  const { store, clock, longestTokenMs, onListenerFault = () => undefined } = options;
  const { onKeyringChanged = () => undefined } = options;
  const trust = createFeedTrust(clock);
  const view = createRevocationView({ clock, longestTokenMs, trust });
  const listeners = createCutListeners(onListenerFault);
  // The feed may bring an own commit's entries before its promise resolves; what they closed is counted here.
  const closedBy = new Map<string, number>();

  const apply = (entries: readonly LogEntry[]) => {
    for (const entry of entries) {
      if (entry.event.type === "keyring_changed") onKeyringChanged();
      const news = view.take(entry);
      if (news === undefined) continue;
      const closed = listeners.tell(news.cut);
      const before = news.revocationId === undefined ? undefined : closedBy.get(news.revocationId);
      if (before !== undefined && news.revocationId !== undefined)
        closedBy.set(news.revocationId, before + closed);
    }
  };
  const journal = createJournal({ store, clock, apply });
  const endSessions = createSessionEnding({ store, clock, journal });
  const endUser = createUserEnding({ store, clock, journal });

  return {
    view,
    apply,
    commit: journal.commit,
    onCut: listeners.add,
    setFeed({ since, following }) {
      view.reachesBackTo(since);
      trust.rests(following);
    },
    async revoke(target, cause, { also } = {}) {
      const revocationId = newId();
      closedBy.set(revocationId, 0);
      try {
        const request = { cause, revocationId, also };
        const { sessions, durability } =
          target.kind === "user" ? await endUser(target, request) : await endSessions(target, request);
        return {
          ...{ revocationId, sessions, durability },
          socketsClosed: closedBy.get(revocationId) ?? 0,
          // Other nodes follow by the log; that they do is not known here yet.
          nodes: { applied: trust.holds() ? 1 : 0, pending: 0, fenced: 0 },
          effective: store.kind === "embedded" && trust.holds() ? "all" : "pending",
        };
      } finally {
        closedBy.delete(revocationId);
      }
    },
  };
}
