import type { Clock } from "../clock/clock.ts";
import type { Lease } from "./lease.ts";

/**
 * What this process is to its installation: nothing yet, a node that serves sockets, or a watcher (a command of the CLI)
 * that only wants to know what its revocations come to.
 */
export class NodeRole {
  readonly #clock: Clock;
  readonly #lease: Pick<Lease, "provenAt">;
  readonly #storesWindowMs: () => number;
  #watching: { readonly stalePrimaryWindowMs: number; readonly knownNodes: number } | undefined;
  #serves = false;
  #deliveredAt = Number.NEGATIVE_INFINITY;

  /** `stalePrimaryWindowMs`: the store's, see `StoreGuarantee`. */
  constructor(options: {
    readonly clock: Clock;
    readonly lease: Pick<Lease, "provenAt">;
    readonly stalePrimaryWindowMs: () => number;
  }) {
    this.#clock = options.clock;
    this.#lease = options.lease;
    this.#storesWindowMs = options.stalePrimaryWindowMs;
  }

  becomeNode(): void {
    this.#serves = true;
  }

  becomeWatcher(watching: { readonly stalePrimaryWindowMs: number; readonly knownNodes: number }): void {
    this.#watching = watching;
  }

  /** The follower has delivered entries of the log. */
  delivered(): void {
    this.#deliveredAt = this.#clock.monotonic();
  }

  /** A node applies what it commits; a watcher serves nobody. */
  get servesSockets(): boolean {
    return this.#serves;
  }

  get stalePrimaryWindowMs(): number {
    return this.#watching?.stalePrimaryWindowMs ?? this.#storesWindowMs();
  }

  /** Nodes that are known to run, whether or not a heartbeat of theirs was read. */
  get running(): number {
    return this.#watching?.knownNodes ?? 0;
  }

  /**
   * This process knew of every commit before this moment (monotonic ms), whichever server took it. An old primary that
   * still takes commits after that time was demoted later.
   */
  get provenAt(): number {
    return this.#watching === undefined ? this.#lease.provenAt() : this.#deliveredAt;
  }
}
