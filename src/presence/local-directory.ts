import type { HubMember } from "../connection/hub.ts";
import { liveConnectionOf } from "./presence.ts";
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

/** The directory of an installation that is one process: what this node serves is the whole list. */
export class LocalPresenceDirectory implements PresenceDirectory {
  readonly #node: string;
  readonly #members: (userId?: string) => Iterable<HubMember>;
  readonly #watchers = new Set<{ readonly watcher: PresenceWatcher }>();

  /** `members`: see `PresenceOptions`; with a user's id, of that user only. */
  constructor(options: {
    readonly node: string;
    readonly members: (userId?: string) => Iterable<HubMember>;
  }) {
    this.#node = options.node;
    this.#members = options.members;
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

  async page(
    query: PresenceQuery,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
  ): Promise<PresencePage> {
    const connections: LiveConnection[] = [];
    let lookedAt = 0;
    for (const member of this.#members(query.userId)) {
      const connection = liveConnectionOf(member, this.#node);
      if (after !== undefined && connection.id <= after) continue;
      if (matchesQuery(connection, query)) connections.push(connection);
      lookedAt += 1;
      if (connections.length === limit || lookedAt === mostLookedAt)
        return { connections, next: connection.id };
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
