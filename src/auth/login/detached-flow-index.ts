/**
 * Login flows that no socket waits for, by address. Those of one address are in the order in which they were
 * detached.
 */
export class DetachedFlowIndex {
  readonly #byAddress = new Map<string, Set<string>>();
  /** Addresses by their number of flows, so that the one with the most is found without a scan. */
  readonly #addressesByCount = new Map<number, Set<string>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  countOf(address: string): number {
    return this.#byAddress.get(address)?.size ?? 0;
  }

  add(address: string, flowId: string): void {
    const flows = this.#byAddress.get(address) ?? new Set();
    if (flows.has(flowId)) return;
    this.#byAddress.set(address, flows.add(flowId));
    this.#size += 1;
    this.#updateCount(address, flows.size - 1, flows.size);
  }

  delete(address: string, flowId: string): void {
    const flows = this.#byAddress.get(address);
    if (flows === undefined || !flows.delete(flowId)) return;
    if (flows.size === 0) this.#byAddress.delete(address);
    this.#size -= 1;
    this.#updateCount(address, flows.size + 1, flows.size);
  }

  oldestOf(address: string): string | undefined {
    const [oldest] = this.#byAddress.get(address) ?? [];
    return oldest;
  }

  /** The oldest flow of the address with the most flows. */
  oldestOfMost(): string | undefined {
    const highestCount = Math.max(0, ...this.#addressesByCount.keys());
    const [address] = this.#addressesByCount.get(highestCount) ?? [];
    return address === undefined ? undefined : this.oldestOf(address);
  }

  #updateCount(address: string, from: number, to: number): void {
    const before = this.#addressesByCount.get(from);
    before?.delete(address);
    if (before?.size === 0) this.#addressesByCount.delete(from);
    if (to === 0) return;
    const after = this.#addressesByCount.get(to) ?? new Set();
    this.#addressesByCount.set(to, after.add(address));
  }
}
