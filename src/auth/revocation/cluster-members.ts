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
  /** When this process read the heartbeat, by the clock's `monotonic`. Never before it was sent. */
  readonly heartbeatReadAt: number;
  /** When the heartbeat was committed, by the store's clock. */
  readonly at: number;
}

/** The other nodes that serve sockets, or may. */
export interface ClusterMembers {
  onHeartbeat(heartbeat: Heartbeat, entry: LogEntry): void;
  onNodeLeft(node: string): void;
  others(): readonly ClusterMember[];
  /** How many of them sent a heartbeat that was read within the last `leaseMs`. */
  readonly liveCount: number;
  /** Everything read so far is history. Removes the nodes that were silent for too long at the end of it. */
  onCaughtUp(): void;
}

/** A node without a heartbeat for this long holds no lease and is not counted any more, ms. */
const memberTtlMs = 60_000;
/** Upper bound of remembered nodes. Beyond it the one with the oldest heartbeat is evicted. */
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

  const isExpired = ({ policy }: ClusterMember, silentMs: number): boolean =>
    silentMs > (policy === "serve_until_exp" ? Math.max(memberTtlMs, longestTokenMs) : memberTtlMs);
  const prune = (silentMs: (member: ClusterMember) => number) => {
    for (const [node, member] of members) if (isExpired(member, silentMs(member))) members.delete(node);
  };
  const now = () => clock.monotonic();
  const others = () => {
    prune(({ heartbeatReadAt }) => now() - heartbeatReadAt);
    return [...members.values()];
  };

  return {
    onHeartbeat({ node, n, applied, policy }, { at }) {
      newest = Math.max(newest, at);
      // A heartbeat that is delivered or replayed again proves nothing: its number is not higher.
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
    onCaughtUp: () => prune(({ at }) => newest - at),
  };
}
