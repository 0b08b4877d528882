import type { Clock } from "../clock/clock.ts";
import type { Lease } from "./lease.ts";

/**
 * The role of this process in its installation: none yet, a node that serves sockets, or a watcher. A watcher is a
 * command of the CLI that serves nobody and only wants to know when its revocations are in effect.
 */
export class NodeRole {
  readonly #clock: Clock;
  readonly #lease: Pick<Lease, "provenAt">;
  readonly #storesWindowMs: () => number;
  #watching: { readonly stalePrimaryWindowMs: number; readonly knownNodes: number } | undefined;
  #serves = false;
  #deliveredAt = Number.NEGATIVE_INFINITY;

  /** `stalePrimaryWindowMs` comes from the store, see `StoreGuarantee`. */
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

  /** Called when the follower has delivered entries of the log. */
  delivered(): void {
    this.#deliveredAt = this.#clock.monotonic();
  }

  /** True for a node, which applies what it commits. A watcher serves nobody. */
  get servesSockets(): boolean {
    return this.#serves;
  }

  get stalePrimaryWindowMs(): number {
    return this.#watching?.stalePrimaryWindowMs ?? this.#storesWindowMs();
  }

  /** How many nodes are known to run, whether or not one of their heartbeats was read. */
  get running(): number {
    return this.#watching?.knownNodes ?? 0;
  }

  /**
   * This process knew every commit before this moment (monotonic ms), whichever server took it. If an old primary
   * still accepts commits after it, it was demoted after it.
   */
  get provenAt(): number {
    return this.#watching === undefined ? this.#lease.provenAt() : this.#deliveredAt;
  }
}
