import type { RedisAddress, RedisHost } from "./address.ts";
import type { CommandLink } from "./command-link.ts";
import { hostName, latest, SentinelLink, type SentinelReport } from "./sentinels.ts";

const everyMs = 500;
/** An answer older than this, ms, does not count for where the primary is now. */
const reportMaxAgeMs = 2_000;
/**
 * How long a connection may lead to a primary that the Sentinels no longer name, ms: they learn of a failover one by
 * one.
 */
const disagreementMs = 3_000;

export interface SentinelWatchOptions {
  readonly address: RedisAddress;
  /** The connection for commits. */
  readonly primary: Pick<CommandLink, "server" | "madeAt">;
  /** Other servers that are in use as the primary. */
  readonly others: () => readonly RedisHost[];
  /**
   * Called if a majority names a different primary than before, or if one of the servers in use has not been the named
   * primary for a while.
   */
  readonly onMoved: (isPrimary: (server: RedisHost) => boolean) => void;
}

/** Asks all Sentinels, the configured ones and those that they name, which server is the primary. */
export class SentinelWatch {
  readonly #options: SentinelWatchOptions;
  readonly #links = new Map<string, SentinelLink>();
  #timer: NodeJS.Timeout | undefined;
  /** The last server that commits went to. */
  #primary: string | undefined;
  #named: string | undefined;
  #agreedAt = performance.now();

  constructor(options: SentinelWatchOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    for (const host of this.#options.address.hosts) this.#link(host);
    this.#agreedAt = performance.now();
    this.#timer = setInterval(() => void this.#look(), everyMs).unref();
    void this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  /**
   * `performance.now()` of the last moment at which a majority named, and reached, the primary that commits go to.
   * Answers from before the connection was made do not count: they may be about another process at that address, with
   * other data. Answers that say that the primary is being replaced do not count either.
   */
  get confirmedAt(): number {
    const primary = this.#currentPrimary();
    const known = latest(this.#fresh());
    if (known.some(({ state }) => state.isReplaced)) return Number.NEGATIVE_INFINITY;
    const since = Math.max(0, ...known.map(({ state }) => state.epoch));
    const confirmsPrimary = ({ askedAt, primary: named, state }: SentinelReport) =>
      primary !== undefined &&
      named.includes(primary) &&
      askedAt >= this.#options.primary.madeAt &&
      state.epoch >= since &&
      !state.isDown;
    const reports = this.#reports().filter(confirmsPrimary);
    const moments = reports.map(({ askedAt }) => askedAt).sort((a, b) => b - a);
    // Every Sentinel that was asked after this moment also named it.
    return moments[this.#majority() - 1] ?? Number.NEGATIVE_INFINITY;
  }

  /** Asks now. Undefined if the answers do not suffice, or if nobody follows. */
  async ask(): Promise<RedisHost | undefined> {
    await this.#look();
    return this.#timer === undefined ? undefined : this.named;
  }

  /** The primary that is named now: by Sentinels that know of a later failover than the others, else by a majority. */
  get named(): RedisHost | undefined {
    const fresh = this.#fresh();
    const reports = latest(fresh);
    const agreeing = ({ named }: SentinelReport) =>
      reports.filter((report) => hostName(report.named) === hostName(named)).length;
    if (reports.length < fresh.length) return reports.toSorted((a, b) => agreeing(b) - agreeing(a))[0]?.named;
    return reports.find((report) => agreeing(report) >= this.#majority())?.named;
  }

  #fresh(): readonly SentinelReport[] {
    return this.#reports().filter(({ askedAt }) => performance.now() - askedAt < reportMaxAgeMs);
  }

  /** The last answer of each Sentinel. A Sentinel that is reached under two names counts once. */
  #reports(): readonly SentinelReport[] {
    const reports = new Map<string, SentinelReport>();
    for (const { id, report } of this.#links.values()) {
      const known = id === undefined ? undefined : reports.get(id);
      const isLater = report !== undefined && report.askedAt > (known?.askedAt ?? Number.NEGATIVE_INFINITY);
      if (id !== undefined && isLater) reports.set(id, report);
    }
    return [...reports.values()];
  }

  /** Majority of all Sentinels that are configured or that one of them names, whether or not they answer. */
  #majority(): number {
    const ids = new Set<string>();
    for (const { id, others } of this.#links.values()) {
      if (id !== undefined) ids.add(id);
      for (const other of others.keys()) ids.add(other);
    }
    return Math.floor(Math.max(ids.size, this.#options.address.hosts.length) / 2) + 1;
  }

  #currentPrimary(): string | undefined {
    const primary = this.#options.primary.server;
    if (primary !== undefined) this.#primary = hostName(primary);
    return this.#primary;
  }

  async #look(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.ask()));
    if (this.#timer === undefined) return;
    this.#meetOthers();
    this.#compare();
  }

  #meetOthers(): void {
    const links = [...this.#links.values()];
    const met = new Set(links.map(({ id }) => id));
    const named = new Map(links.flatMap(({ others }) => [...others]));
    for (const [id, host] of named) if (!met.has(id)) this.#link(host);
    const configured = new Set(this.#options.address.hosts.map(hostName));
    for (const [name, { id, host }] of this.#links) {
      const isNamed = [...named.values()].some((one) => hostName(one) === hostName(host));
      if (configured.has(name) || isNamed || (id !== undefined && named.has(id))) continue;
      this.#links.get(name)?.close();
      this.#links.delete(name);
    }
  }

  #link(host: RedisHost): void {
    const name = hostName(host);
    if (!this.#links.has(name)) this.#links.set(name, new SentinelLink(this.#options.address, host));
  }

  #compare(): void {
    const named = this.named;
    if (named === undefined) return;
    const before = this.#named;
    this.#named = hostName(named);
    const { primary = [] } = this.#reports().find((report) => hostName(report.named) === this.#named) ?? {};
    const isPrimary = (server: RedisHost) => primary.includes(hostName(server));
    const now = performance.now();
    const current = this.#options.primary.server;
    const inUse = [...(current === undefined ? [] : [current]), ...this.#options.others()];
    if (inUse.every(isPrimary)) this.#agreedAt = now;
    const isOther = before !== undefined && before !== this.#named;
    if (!isOther && now - this.#agreedAt < disagreementMs) return;
    this.#agreedAt = now;
    this.#options.onMoved(isPrimary);
  }
}
