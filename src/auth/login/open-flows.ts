import type { Clock } from "../clock.ts";
import { AuthError } from "../errors.ts";

export interface OpenFlowLimits {
  /** Flows that one address (one IPv6 /64) may have open on this node. */
  readonly perAddress: number;
  /** Flows that this node may have open. */
  readonly total: number;
}

/**
 * Counts the flows that were started on this node and are not known to be over. A newcomer is refused, nobody is pushed
 * out: a flood from one address never costs another address its flow. A flow that ended on another node, or was left
 * alone, counts until its deadline.
 */
export class OpenFlows {
  readonly #clock: Clock;
  readonly #limits: OpenFlowLimits;
  readonly #lifeMs: number;
  /** In order of start, which is the order of their ends. */
  readonly #flows = new Map<string, { readonly address: string; readonly endsAt: number }>();
  readonly #perAddress = new Map<string, number>();

  constructor(options: { readonly clock: Clock; readonly limits: OpenFlowLimits; readonly lifeMs: number }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#lifeMs = options.lifeMs;
  }

  get count(): number {
    return this.#flows.size;
  }

  /** Throws `too_many_flows`. Counted before anything is awaited, so that a burst cannot pass. */
  add(flowId: string, address: string): void {
    const now = this.#clock.monotonic();
    this.#forgetPast(now);
    const ofAddress = this.#perAddress.get(address) ?? 0;
    if (ofAddress >= this.#limits.perAddress) throw this.#full(now, address);
    if (this.#flows.size >= this.#limits.total) throw this.#full(now);
    this.#flows.set(flowId, { address, endsAt: now + this.#lifeMs });
    this.#perAddress.set(address, ofAddress + 1);
  }

  remove(flowId: string): void {
    const flow = this.#flows.get(flowId);
    if (flow === undefined) return;
    this.#flows.delete(flowId);
    const left = (this.#perAddress.get(flow.address) ?? 0) - 1;
    if (left > 0) this.#perAddress.set(flow.address, left);
    else this.#perAddress.delete(flow.address);
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
