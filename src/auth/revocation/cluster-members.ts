import type { Clock } from "../clock/clock.ts";
import type { LogEvent } from "../model.ts";
import type { LogEntry, LogPosition } from "../store.ts";
import { leaseMs } from "./lease.ts";
import type { RevocationPolicy } from "./revocation.ts";

type Heartbeat = Extract<LogEvent, { type: "heartbeat" }>;

/** Another node, as its last heartbeat in the log shows it. */
export interface ClusterMember {
  readonly n: number;
  /** The last entry that it had applied. */
  readonly applied: LogPosition | null;
  readonly policy: RevocationPolicy;
  /** When this process read the heartbeat, by the clock's `monotonic`: at the earliest when it was sent. */
  readonly heartbeatReadAt: number;
  /** When it was committed, by the store's clock. */
  readonly at: number;
}

/** The other nodes that serve sockets, or may. */
export interface ClusterMembers {
  onHeartbeat(heartbeat: Heartbeat, entry: LogEntry): void;
  onNodeLeft(node: string): void;
  others(): readonly ClusterMember[];
  /** Of these, those that were heard of within a lease. */
  readonly liveCount: number;
  /** What is read up to now is history: who had been silent for long by then is gone. */
  onCaughtUp(): void;
}

/** A node that was silent for so long holds no lease and is not counted any more, ms. */
const memberTtlMs = 60_000;
/** Heartbeats of more nodes than this say nothing about an installation: the oldest give way. */
const maxMembers = 1_000;

export function createClusterMembers(options: {
  readonly clock: Clock;
  readonly self: string;
  /** How long a socket may be served without a lease by a node with the policy `serve_until_exp`, ms. */
  readonly longestTokenMs: number;
}): ClusterMembers {
  const { clock, self, longestTokenMs } = options;
  const members = new Map<string, ClusterMember>();
  let newest = 0;

  const gone = ({ policy }: ClusterMember, silentMs: number): boolean =>
    silentMs > (policy === "serve_until_exp" ? Math.max(memberTtlMs, longestTokenMs) : memberTtlMs);
  const forget = (silentMs: (member: ClusterMember) => number) => {
    for (const [node, member] of members) if (gone(member, silentMs(member))) members.delete(node);
  };
  const now = () => clock.monotonic();
  const others = () => {
    forget(({ heartbeatReadAt }) => now() - heartbeatReadAt);
    return [...members.values()];
  };

  return {
    onHeartbeat({ node, n, applied, policy }, { at }) {
      newest = Math.max(newest, at);
      // An older one that comes again, whoever sent it, is no sign of life.
      if (node === self || n <= (members.get(node)?.n ?? 0)) return;
      members.delete(node);
      members.set(node, { n, applied, policy, heartbeatReadAt: now(), at });
      const [oldest] = members.keys();
      if (members.size > maxMembers && oldest !== undefined) members.delete(oldest);
    },
    onNodeLeft: (node) => void members.delete(node),
    others,
    get liveCount() {
      return others().filter(({ heartbeatReadAt }) => now() - heartbeatReadAt < leaseMs).length;
    },
    onCaughtUp: () => forget(({ at }) => newest - at),
  };
}
