import type { Clock } from "../clock/clock.ts";
import { DetachedFlowIndex } from "./detached-flow-index.ts";
import type { FlowHolder } from "./login-flows.ts";

export interface OpenFlowLimits {
  /** Flows of one address (one IPv6 /64) that no socket waits for. */
  readonly detachedPerAddress: number;
  /** Flows of this node that no socket waits for. */
  readonly detachedPerNode: number;
}

interface OpenFlow {
  readonly address: string;
  /** Monotonic ms. */
  readonly endsAt: number;
  /** Undefined: no socket waits for it. */
  holder: FlowHolder | undefined;
  /** The hold that the store has for this holder; null for the one that started the flow. */
  readonly hold: string | null;
  /** The user whose approval it waits for. */
  awaitedUser?: string;
}

export interface EvictedFlow {
  readonly flowId: string;
  readonly hold: string | null;
}

/** A start adds one flow and evicts up to so many. So an excess shrinks, and each start stays cheap. */
const maxEvicted = 8;

/**
 * The flows that sockets of this node started or resumed. A flow with a waiting socket is never evicted; the limits
 * of sockets bound their number, because each socket holds one flow. A flow whose socket has closed is detached: it
 * is kept to be resumed until newer ones evict it. At the limit of an address its own oldest flow is evicted, at the
 * limit of the node the oldest one of the address with the most. So no number of flows can prevent a start. A flow
 * that ended on another node counts as detached until its deadline.
 */
export class OpenFlows {
  readonly #clock: Clock;
  readonly #limits: OpenFlowLimits;
  readonly #flows = new Map<string, OpenFlow>();
  readonly #detached = new DetachedFlowIndex();
  readonly #byAwaitedUser = new Map<string, Set<string>>();

  constructor(options: { readonly clock: Clock; readonly limits: OpenFlowLimits }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  get count(): number {
    return this.#flows.size;
  }

  /**
   * Called before a start: the flows to evict for one more of this address. The caller ends those that no other socket
   * has resumed since: whose hold is still this one.
   */
  makeRoom(address: string): readonly EvictedFlow[] {
    this.#removeExpired();
    const evicted: EvictedFlow[] = [];
    while (evicted.length < maxEvicted) {
      const isFull = this.#detached.countOf(address) >= this.#limits.detachedPerAddress;
      const overfull = this.#detached.size >= this.#limits.detachedPerNode;
      const flowId = isFull
        ? this.#detached.oldestOf(address)
        : overfull
          ? this.#detached.oldestOfMost()
          : undefined;
      if (flowId === undefined) break;
      evicted.push({ flowId, hold: this.#flows.get(flowId)?.hold ?? null });
      this.remove(flowId);
    }
    return evicted;
  }

  /**
   * From now on `holder` waits for the flow instead of any other; undefined: nobody does. `lifeMs`: the time until
   * its deadline.
   */
  hold(
    flowId: string,
    address: string,
    lifeMs: number,
    holder: FlowHolder | undefined,
    hold: string | null = null,
  ): void {
    this.remove(flowId);
    this.#flows.set(flowId, { address, endsAt: this.#clock.monotonic() + lifeMs, holder, hold });
    if (holder === undefined) this.#detached.add(address, flowId);
  }

  /** The holder that waits for the flow on this node, if any. */
  holderOf(flowId: string): FlowHolder | undefined {
    return this.#flows.get(flowId)?.holder;
  }

  /** The hold of this holder. Undefined if another socket of this node waits for the flow. */
  holdOf(flowId: string, holder: FlowHolder): string | null | undefined {
    const flow = this.#flows.get(flowId);
    return flow?.holder === holder ? flow.hold : undefined;
  }

  /** From now on `holdersAwaiting` of this user returns the flow's holder. */
  awaitUser(flowId: string, userId: string): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined || flow.awaitedUser === userId) return;
    flow.awaitedUser = userId;
    this.#byAwaitedUser.set(userId, (this.#byAwaitedUser.get(userId) ?? new Set()).add(flowId));
  }

  holdersAwaiting(userId: string): readonly FlowHolder[] {
    return [...(this.#byAwaitedUser.get(userId) ?? [])].flatMap((flowId) => this.holderOf(flowId) ?? []);
  }

  /** All holders that wait for a flow on this node. */
  holders(): readonly FlowHolder[] {
    return [...this.#flows.values()].flatMap(({ holder }) => (holder === undefined ? [] : [holder]));
  }

  /** The holder's socket has closed. Without effect if another holder waits for the flow. */
  detach(flowId: string, holder: FlowHolder): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined || flow.holder !== holder) return;
    flow.holder = undefined;
    this.#detached.add(flow.address, flowId);
  }

  remove(flowId: string): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined) return;
    this.#flows.delete(flowId);
    this.#detached.delete(flow.address, flowId);
    if (flow.awaitedUser === undefined) return;
    const awaiting = this.#byAwaitedUser.get(flow.awaitedUser);
    awaiting?.delete(flowId);
    if (awaiting?.size === 0) this.#byAwaitedUser.delete(flow.awaitedUser);
  }

  /**
   * Stops at the first flow that is not expired. Flows are in the order of start or resume, so a late resume may hide
   * some expired ones.
   */
  #removeExpired(): void {
    const now = this.#clock.monotonic();
    for (const [flowId, { endsAt }] of this.#flows) {
      if (endsAt > now) return;
      this.remove(flowId);
    }
  }
}
