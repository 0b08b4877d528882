import type { Clock } from "../clock/clock.ts";
import { DetachedFlows } from "./detached-flows.ts";
import type { FlowHolder } from "./login-flows.ts";

export interface OpenFlowLimits {
  /** Flows of one address (one IPv6 /64) that no socket waits for. */
  readonly leftPerAddress: number;
  /** Flows of this node that no socket waits for. */
  readonly leftPerNode: number;
}

interface OpenFlow {
  readonly address: string;
  /** Monotonic ms. */
  readonly endsAt: number;
  /** Undefined: no socket waits for it. */
  holder: FlowHolder | undefined;
  /** What the store has for this holder; null for the one that began it. */
  readonly hold: string | null;
}

/** So that a start stays cheap when many sockets left at once: each start adds one flow, and takes more than one away. */
const mostDisplaced = 8;

/**
 * The flows that sockets of this node began or resumed. One that a socket waits for is bounded by the bounds on sockets,
 * which hold one flow each, and never gives way. One whose socket is gone is kept to be resumed until newer ones need
 * its place: those of its own address first, and of the node the oldest of the address that has the most. So no number of
 * flows keeps anybody from a start. A flow that ended on another node counts as left until its deadline.
 */
export class OpenFlows {
  readonly #clock: Clock;
  readonly #limits: OpenFlowLimits;
  readonly #flows = new Map<string, OpenFlow>();
  readonly #left = new DetachedFlows();

  constructor(options: { readonly clock: Clock; readonly limits: OpenFlowLimits }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  get count(): number {
    return this.#flows.size;
  }

  /** Before a start: the flows that give way to one more of this address. The caller ends them. */
  makeRoom(address: string): readonly string[] {
    this.#forgetPast();
    const displaced: string[] = [];
    while (displaced.length < mostDisplaced) {
      const isFull = this.#left.countOf(address) >= this.#limits.leftPerAddress;
      const overfull = this.#left.size >= this.#limits.leftPerNode;
      const flowId = isFull ? this.#left.oldestOf(address) : overfull ? this.#left.oldestOfMost() : undefined;
      if (flowId === undefined) break;
      this.remove(flowId);
      displaced.push(flowId);
    }
    return displaced;
  }

  /** `holder` waits for it from now on, instead of any other; undefined: nobody does. `lifeMs`: until its deadline. */
  hold(
    flowId: string,
    address: string,
    lifeMs: number,
    holder: FlowHolder | undefined,
    hold: string | null = null,
  ): void {
    this.remove(flowId);
    this.#flows.set(flowId, { address, endsAt: this.#clock.monotonic() + lifeMs, holder, hold });
    if (holder === undefined) this.#left.add(address, flowId);
  }

  /** Who waits for the flow at this node, if anybody. */
  holderOf(flowId: string): FlowHolder | undefined {
    return this.#flows.get(flowId)?.holder;
  }

  /** The hold of this holder; undefined where another socket of this node waits for the flow. */
  holdOf(flowId: string, holder: FlowHolder): string | null | undefined {
    const flow = this.#flows.get(flowId);
    return flow?.holder === holder ? flow.hold : undefined;
  }

  /** Everybody who waits for a flow at this node. */
  holders(): readonly FlowHolder[] {
    return [...this.#flows.values()].flatMap(({ holder }) => (holder === undefined ? [] : [holder]));
  }

  /** The holder is gone. Without effect when another one waits for the flow. */
  leave(flowId: string, holder: FlowHolder): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined || flow.holder !== holder) return;
    flow.holder = undefined;
    this.#left.add(flow.address, flowId);
  }

  remove(flowId: string): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined) return;
    this.#flows.delete(flowId);
    this.#left.delete(flow.address, flowId);
  }

  /** In the order in which they were begun or resumed: one that was resumed late may hide some that ended before it. */
  #forgetPast(): void {
    const now = this.#clock.monotonic();
    for (const [flowId, { endsAt }] of this.#flows) {
      if (endsAt > now) return;
      this.remove(flowId);
    }
  }
}
