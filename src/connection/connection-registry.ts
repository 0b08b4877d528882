export interface ConnectionRegistryLimits {
  /** Open sockets. */
  readonly sockets: number;
  /** Of these, sockets before `auth_ok`: in total, and from one address (see `addressShare`). */
  readonly unauthenticated: number;
  readonly unauthenticatedPerAddress: number;
}

/** Whether one more socket may open. */
export type Room = "free" | "full" | "address_full";

/**
 * Addresses that are remembered without an unauthenticated socket: taking one out of a Map each time and putting
 * it in again makes the Map grow a new table every few thousand times.
 */
const idleAddresses = 1024;

/** Every open socket of this node, and how many of them are unauthenticated. */
export class ConnectionRegistry<Member> {
  readonly #limits: ConnectionRegistryLimits;
  readonly #members = new Set<Member>();
  /** Unauthenticated sockets by address. An address whose last one left stays until `#tidy`. */
  readonly #unauthenticatedAt = new Map<string, number>();
  #unauthenticated = 0;

  constructor(limits: ConnectionRegistryLimits) {
    this.#limits = limits;
  }

  get sockets(): number {
    return this.#members.size;
  }

  get unauthenticated(): number {
    return this.#unauthenticated;
  }

  /** Addresses that are remembered: of unauthenticated sockets, and at most 1,024 without one. */
  get addresses(): number {
    return this.#unauthenticatedAt.size;
  }

  /** A copy: members leave while it is walked. */
  members(): readonly Member[] {
    return [...this.#members];
  }

  /** Asked before the upgrade; the socket itself is counted by `enter`, so a handshake that breaks off keeps none. */
  roomFor(addressKey: string): Room {
    if (this.#members.size >= this.#limits.sockets) return "full";
    if (this.#unauthenticated >= this.#limits.unauthenticated) return "full";
    const here = this.#unauthenticatedAt.get(addressKey) ?? 0;
    return here >= this.#limits.unauthenticatedPerAddress ? "address_full" : "free";
  }

  enter(member: Member, addressKey: string): void {
    this.#members.add(member);
    this.#unauthenticated += 1;
    const here = this.#unauthenticatedAt.get(addressKey);
    if (here === undefined && this.#unauthenticatedAt.size >= this.#unauthenticated + idleAddresses)
      this.#tidy();
    this.#unauthenticatedAt.set(addressKey, (here ?? 0) + 1);
  }

  /** The socket is authenticated, or gone. */
  leaveUnauthenticated(addressKey: string): void {
    this.#unauthenticated -= 1;
    this.#unauthenticatedAt.set(addressKey, (this.#unauthenticatedAt.get(addressKey) ?? 1) - 1);
  }

  leave(member: Member, addressKey: string, wasAuthenticated: boolean): void {
    if (!this.#members.delete(member)) return;
    if (!wasAuthenticated) this.leaveUnauthenticated(addressKey);
  }

  #tidy(): void {
    for (const [addressKey, count] of this.#unauthenticatedAt)
      if (count === 0) this.#unauthenticatedAt.delete(addressKey);
  }
}
