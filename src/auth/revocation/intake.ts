import type { LogEvent } from "../model.ts";
import type { Weakened } from "../protections.ts";
import type { LogEntry } from "../store.ts";
import type { CutListeners } from "./cut-listeners.ts";
import type { Keeper, RevocationObserver } from "./keeper.ts";
import { logEventOf } from "./log-events.ts";
import type { LogSeal } from "./log-seal.ts";
import type { Members } from "./members.ts";
import type { Settling } from "./settling.ts";
import type { GrowingView } from "./view.ts";

/** The way of an entry of the log into this node. */
export interface Intake {
  /** What the follower brings. */
  deliver(entries: readonly LogEntry[]): void;
  /** What this node has committed itself, before or after the follower brings it. */
  own(entries: readonly LogEntry[]): void;
  /** From here on the sockets that a revocation closes here are counted. */
  begin(revocationId: string): void;
  /** The count up to now. */
  end(revocationId: string): number;
}

export interface IntakeParts {
  readonly node: string;
  readonly seal: LogSeal;
  readonly weakened: Weakened;
  readonly view: Pick<GrowingView, "take">;
  readonly keeper: Pick<Keeper, "applied" | "doubt" | "hurry" | "readBack">;
  readonly members: Pick<Members, "heard" | "left">;
  readonly settling: Pick<Settling, "delivered" | "review">;
  readonly listeners: Pick<CutListeners, "tell">;
  readonly observer: Pick<RevocationObserver, "badMac">;
  readonly onKeyringChanged: (dropped: readonly string[]) => void;
}

export function createIntake(parts: IntakeParts): Intake {
  const { view, keeper, members, settling } = parts;
  const closedBy = new Map<string, number>();

  const count = (event: LogEvent, closed: number) => {
    const id = revocationIdOf(event);
    const before = id === undefined ? undefined : closedBy.get(id);
    if (id !== undefined && before !== undefined) closedBy.set(id, before + closed);
  };
  /** The view has it before anybody is told. True when it was news. */
  const take = (event: LogEvent, entry: LogEntry): boolean => {
    if (event.type === "keyring_changed") parts.onKeyringChanged(event.dropped ?? []);
    const cut = view.take(event, entry);
    if (cut === undefined) return false;
    if ("epoch" in event && event.epoch !== undefined) keeper.doubt();
    else count(event, parts.listeners.tell(cut));
    return true;
  };
  const takeDelivered = (event: LogEvent, entry: LogEntry) => {
    const isNews = take(event, entry);
    const id = revocationIdOf(event);
    if (id === undefined) return;
    settling.delivered(entry, id);
    // Whoever revoked it elsewhere waits for word of it.
    if (isNews && !closedBy.has(id)) keeper.hurry();
  };
  const deliverOne = (entry: LogEntry) => {
    if (!parts.weakened.has("mac") && !parts.seal.isGenuine(entry.event)) {
      parts.observer.badMac(entry);
      return;
    }
    const event = logEventOf(entry.event);
    if (event?.type === "heartbeat") {
      members.heard(event, entry);
      if (event.node === parts.node) keeper.readBack(event.n, entry);
      settling.review();
    } else if (event?.type === "node_left") members.left(event.node);
    else if (event !== undefined) takeDelivered(event, entry);
  };

  return {
    deliver(entries) {
      for (const entry of entries) {
        deliverOne(entry);
        keeper.applied(entry.position);
      }
    },
    own(entries) {
      for (const entry of entries) {
        const event = logEventOf(entry.event);
        if (event !== undefined) take(event, entry);
      }
    },
    begin: (revocationId) => void closedBy.set(revocationId, 0),
    end(revocationId) {
      const closed = closedBy.get(revocationId) ?? 0;
      closedBy.delete(revocationId);
      return closed;
    },
  };
}

function revocationIdOf(event: LogEvent): string | undefined {
  return "revocationId" in event ? event.revocationId : undefined;
}
