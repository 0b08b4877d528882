import type { Clock } from "../clock.ts";
import { AuthError } from "../errors.ts";

export interface OpenFlowLimits {
  /** Flows that one address (one IPv6 /64) may have open on this node. */
  readonly perAddress: number;
  /** Flows that this node may have open. */
  readonly total: number;
}

interface OpenFlow {
  readonly address: string;
  readonly endsAt: number;
  /** Sockets of this node that started or resumed it and are not known to be gone. */
  holders: number;
}

/**
 * Counts the flows that were started on this node and are not known to be over. A newcomer is refused, nobody else is
 * pushed out: a flood from one address never costs another address its flow. Only a flow whose socket is gone gives its
 * place to the next one of the same address, the oldest first, so that a page that is loaded again and again is not
 * locked out. A flow that ended on another node counts until its deadline.
 */
export class OpenFlows {
  readonly #clock: Clock;
  readonly #limits: OpenFlowLimits;
  readonly #lifeMs: number;
  /** In order of start, which is the order of their ends. */
  readonly #flows = new Map<string, OpenFlow>();
  readonly #perAddress = new Map<string, number>();
  /** Flows that no socket of this node holds, in the order in which they were left. */
  readonly #left = new Set<string>();

  constructor(options: { readonly clock: Clock; readonly limits: OpenFlowLimits; readonly lifeMs: number }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#lifeMs = options.lifeMs;
  }

  get count(): number {
    return this.#flows.size;
  }

  /**
   * Throws `too_many_flows`. Counted before anything is awaited, so that a burst cannot pass. Gives the flow whose place
   * was taken, if any: the caller ends it.
   */
  add(flowId: string, address: string): string | undefined {
    const now = this.#clock.monotonic();
    this.#forgetPast(now);
    const isFull = (this.#perAddress.get(address) ?? 0) >= this.#limits.perAddress;
    const displaced = isFull ? this.#oldestLeft(address) : undefined;
    if (isFull && displaced === undefined) throw this.#full(now, address);
    if (displaced !== undefined) this.remove(displaced);
    if (this.#flows.size >= this.#limits.total) throw this.#full(now);
    this.#flows.set(flowId, { address, endsAt: now + this.#lifeMs, holders: 1 });
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1);
    return displaced;
  }

  /** A socket that held it is gone. */
  leave(flowId: string): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined) return;
    flow.holders = Math.max(0, flow.holders - 1);
    if (flow.holders === 0) this.#left.add(flowId);
  }

  /** Another socket holds it too: who resumes a flow need not wait until the first socket is known to be gone. */
  resume(flowId: string): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined) return;
    flow.holders += 1;
    this.#left.delete(flowId);
  }

  remove(flowId: string): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined) return;
    this.#flows.delete(flowId);
    this.#left.delete(flowId);
    const left = (this.#perAddress.get(flow.address) ?? 0) - 1;
    if (left > 0) this.#perAddress.set(flow.address, left);
    else this.#perAddress.delete(flow.address);
  }

  #oldestLeft(address: string): string | undefined {
    for (const flowId of this.#left) if (this.#flows.get(flowId)?.address === address) return flowId;
    return undefined;
  }

  #forgetPast(now: number): void {
    for (const [flowId, { endsAt }] of this.#flows) {
      if (endsAt > now) return;
      this.remove(flowId);
    }
  }

  #full(now: number, address?: string): AuthError {
    let waitMs = 0;
    for (const flow of this.#flows.values()) {
      if (address !== undefined && flow.address !== address) continue;
      waitMs = flow.endsAt - now;
      break;
    }
    return new AuthError("too_many_flows", { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) });
  }
}
