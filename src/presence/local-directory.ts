import type { Hub, HubMember } from "../connection/hub.ts";
import { connectionId, liveConnectionOf } from "./presence.ts";
import {
  type LiveConnection,
  matchesQuery,
  type PresenceDirectory,
  type PresencePage,
  type PresenceQuery,
  type PresenceWatcher,
  type PresenceWrite,
} from "./presence-directory.ts";

/** Connections that one page looks at, so that a rare match costs others at most this. */
const mostLookedAt = 2_000;

export interface LocalPresenceOptions {
  readonly node: string;
  /** This node's connections. */
  readonly hub: () => Pick<Hub, "from">;
}

/** The directory of an installation that is one process: what this node serves is the whole list. */
export class LocalPresenceDirectory implements PresenceDirectory {
  readonly #options: LocalPresenceOptions;
  readonly #watchers = new Set<{ readonly watcher: PresenceWatcher }>();

  constructor(options: LocalPresenceOptions) {
    this.#options = options;
  }

  readonly listsAtOnce = true;

  get needsWrites(): boolean {
    return this.#watchers.size > 0;
  }

  async write({ joined, left }: PresenceWrite): Promise<"written"> {
    if (joined.length > 0 || left.length > 0)
      for (const { watcher } of [...this.#watchers]) watcher.onChanges({ joined, left });
    return "written";
  }

  /** Costs what it looks at, however many come before `after`, which may be any text. */
  async page(
    query: PresenceQuery,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
  ): Promise<PresencePage> {
    const { node, hub } = this.#options;
    const connections: LiveConnection[] = [];
    if (query.node !== undefined && query.node !== node) return { connections, next: undefined };
    // Ids are in the order of numbers, as text too.
    const isPast = ({ number }: HubMember) => after === undefined || connectionId(node, number) > after;
    let lookedAt = 0;
    for (const member of hub().from(isPast, query.userId)) {
      if (matchesQuery(queriedOf(member, node), query)) connections.push(liveConnectionOf(member, node));
      lookedAt += 1;
      if (connections.length === limit || lookedAt === mostLookedAt)
        return { connections, next: connectionId(node, member.number) };
    }
    return { connections, next: undefined };
  }

  watch(watcher: PresenceWatcher): () => void {
    const entry = { watcher };
    this.#watchers.add(entry);
    queueMicrotask(() => {
      if (this.#watchers.has(entry)) watcher.onGap();
    });
    return () => this.#watchers.delete(entry);
  }

  async close(): Promise<void> {
    this.#watchers.clear();
  }
}

/** What a query asks about. The id is made only of what a page shows, because making one takes longer than to compare. */
function queriedOf({ principal, peer }: HubMember, node: string) {
  const { userId, sessionId, clientId } = principal;
  return { userId, sessionId, clientId, node, address: peer.address };
}
