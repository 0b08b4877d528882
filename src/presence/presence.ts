import type { HubMember } from "../connection/hub.ts";
import type {
  LiveConnection,
  PresenceDirectory,
  PresencePage,
  PresenceQuery,
  PresenceWatcher,
  PresenceWrite,
} from "./presence-directory.ts";

/** How long changes are collected before they are written, ms. */
export const presenceWriteMs = 500;
/** Connections of one write. */
const writeSize = 500;
/** If more changes wait, all connections of the node are written instead. */
const maxWaiting = 10_000;
/** How often all connections of the node are written again, in writes: what a store lost or let expire comes back. */
const writesBetweenRenewals = 1_200;

/** The live connections of the installation. */
export interface Presence extends Pick<PresenceDirectory, "page" | "watch"> {
  /** The id of a connection of this node in the list. */
  idOf(member: Pick<HubMember, "number">): string;
  /** On the hot path: only takes a note. */
  entered(member: HubMember): void;
  left(member: HubMember): void;
  start(): void;
  /** Takes this node's connections out of the list. Never rejects. */
  stop(): Promise<void>;
}

export interface PresenceOptions {
  readonly directory: PresenceDirectory;
  readonly node: string;
  /** This node's authenticated connections, in the order in which they were authenticated. */
  readonly members: () => Iterable<HubMember>;
}

type Change = "joined" | "left" | "renewed";

/** Writes this node's connections to the directory, in batches and off the path of a connection. */
export class NodePresence implements Presence {
  readonly #options: PresenceOptions;
  readonly #directory: PresenceDirectory;
  readonly #waiting = new Map<HubMember, "joined" | "left">();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #writes = 0;
  /** The directory does not have what this node wrote. */
  #isLost = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#directory = options.directory;
  }

  entered(member: HubMember): void {
    if (this.#directory.needsWrites) this.#waiting.set(member, "joined");
  }

  left(member: HubMember): void {
    if (!this.#directory.needsWrites) return;
    // Nobody was told that it came, so nobody needs to be told that it went, unless it was in the list already.
    if (this.#waiting.get(member) === "joined" && !this.#directory.listsAtOnce) this.#waiting.delete(member);
    else this.#waiting.set(member, "left");
  }

  idOf({ number }: Pick<HubMember, "number">): string {
    return connectionId(this.#options.node, number);
  }

  page(query: PresenceQuery, page: Parameters<Presence["page"]>[1]): Promise<PresencePage> {
    return this.#directory.page(query, page);
  }

  watch(watcher: PresenceWatcher): () => void {
    return this.#directory.watch(watcher);
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), presenceWriteMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#directory.close();
  }

  #tick(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    const changes = this.#takeChanges();
    for (let from = 0; from === 0 || from < changes.length; from += writeSize) {
      const outcome = await this.#directory.write(this.#writeOf(changes.slice(from, from + writeSize)));
      if (outcome === "lost") {
        this.#isLost = true;
        return;
      }
    }
  }

  #takeChanges(): readonly (readonly [HubMember, Change])[] {
    this.#writes += 1;
    const isRenewal = this.#writes % writesBetweenRenewals === 0;
    const isAnew = this.#isLost || this.#waiting.size > maxWaiting;
    const waiting = new Map<HubMember, Change>(this.#waiting);
    this.#waiting.clear();
    this.#isLost = false;
    if (isAnew || isRenewal)
      for (const member of this.#options.members())
        if (!waiting.has(member)) waiting.set(member, isAnew ? "joined" : "renewed");
    return [...waiting];
  }

  #writeOf(changes: readonly (readonly [HubMember, Change])[]): PresenceWrite {
    const which = (wanted: Change) =>
      changes.flatMap(([member, change]) =>
        change === wanted ? [liveConnectionOf(member, this.#options.node)] : [],
      );
    return { joined: which("joined"), left: which("left"), renewed: which("renewed") };
  }
}

/** Digits of a connection's number: with so many, the order of ids as text is that of the numbers. */
const numberDigits = 10;

export function connectionId(node: string, number: number): string {
  return `${node}-${number.toString(36).padStart(numberDigits, "0")}`;
}

export function liveConnectionOf(
  { principal, peer, number, since }: HubMember,
  node: string,
): LiveConnection {
  return {
    id: connectionId(node, number),
    userId: principal.userId,
    sessionId: principal.sessionId,
    clientId: principal.clientId,
    node,
    address: peer.address,
    since,
  };
}
