/** One authenticated connection of a node. */
export interface LiveConnection {
  /** Unique in the installation; opaque. Ids of one node rise in the order of authentication, as text too. */
  readonly id: string;
  readonly userId: string;
  /** The login of one device that it belongs to. */
  readonly sessionId: string;
  readonly clientId: string | null;
  /** The node that serves it. */
  readonly node: string;
  /** The peer's address; null if it is not known. */
  readonly address: string | null;
  /** When it was authenticated, ms since the epoch. */
  readonly since: number;
}

export interface PresenceChanges {
  readonly joined: readonly LiveConnection[];
  readonly left: readonly LiveConnection[];
}

/** What a node writes. `renewed` is in the list already, and is written again without telling anybody. */
export interface PresenceWrite extends PresenceChanges {
  readonly renewed: readonly LiveConnection[];
}

/** Which connections are asked for. Every field that is there narrows. */
export interface PresenceQuery {
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly clientId?: string | undefined;
  readonly node?: string | undefined;
  readonly address?: string | undefined;
}

export interface PresencePage {
  readonly connections: readonly LiveConnection[];
  /** Where to continue. Undefined: that was the last page. */
  readonly next: string | undefined;
}

export interface PresenceWatcher {
  readonly onChanges: (changes: PresenceChanges) => void;
  /** Changes may have been missed until now. Called once when the watch has begun, and after every interruption. */
  readonly onGap: () => void;
}

/**
 * The port of the list of all live connections of an installation. Each node keeps its own part of the list under a
 * lease. If the node dies, the lease ends by itself, and the part with it. Two adapters implement this port (in process,
 * Redis). One contract suite tests both.
 *
 * The list follows what happens, by as long as a node takes to write it. Nothing may be decided by it.
 */
export interface PresenceDirectory {
  /** False as long as nobody would read what is written. */
  readonly needsWrites: boolean;
  /** A connection is in the list before it is written. */
  readonly listsAtOnce: boolean;
  /**
   * Writes this node's changes and renews its lease. Call it every half second, also without changes, and not before the
   * last call has settled. `lost`: the directory does not have what this node wrote before, so write all connections of
   * this node as joined. Never rejects.
   */
  write(changes: PresenceWrite): Promise<"written" | "lost">;
  /**
   * One page, in the order of ids. It may hold fewer connections than `limit`, also none, although others follow. What
   * is in the list the whole time is in exactly one page. Rejects with `unavailable`.
   */
  page(
    query: PresenceQuery,
    page: { readonly after: string | undefined; readonly limit: number },
  ): Promise<PresencePage>;
  /** Tells of changes of every node from now on, until the returned function is called. */
  watch(watcher: PresenceWatcher): () => void;
  /** Takes this node's part out of the list. Waits a bounded time. Never rejects. */
  close(): Promise<void>;
}

export function matchesQuery(
  connection: Omit<LiveConnection, "id" | "since">,
  query: PresenceQuery,
): boolean {
  return (
    (query.userId === undefined || connection.userId === query.userId) &&
    (query.sessionId === undefined || connection.sessionId === query.sessionId) &&
    (query.clientId === undefined || connection.clientId === query.clientId) &&
    (query.node === undefined || connection.node === query.node) &&
    (query.address === undefined || connection.address === query.address)
  );
}
