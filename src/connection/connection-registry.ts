import { SlotSet, type Slotted } from "./slots.ts";

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
 * Places that are remembered without a stranger. Taking one out each time and putting it in again is what Maps are worst
 * at: see `Seats`.
 */
const idlePlaces = 1024;

/** Every open socket of this node, and how many of them are strangers. */
export class ConnectionRegistry<Member extends Slotted> {
  readonly #limits: ConnectionRegistryLimits;
  readonly #members = new SlotSet<Member>();
  /** By place. A place whose last stranger left stays for the next one until `#tidy`. */
  readonly #strangers = new Map<string, number>();
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

  /** Places that are remembered: of strangers, and at most 1,024 without one. */
  get places(): number {
    return this.#strangers.size;
  }

  /** A copy: members leave while it is walked. */
  members(): readonly Member[] {
    return this.#members.all();
  }

  /** Asked before the upgrade; the place itself is taken by `enter`, so a handshake that breaks off keeps none. */
  roomFor(addressKey: string): Room {
    if (this.#members.size >= this.#limits.sockets) return "full";
    if (this.#unauthenticated >= this.#limits.unauthenticated) return "full";
    const here = this.#strangers.get(addressKey) ?? 0;
    return here >= this.#limits.unauthenticatedPerAddress ? "address_full" : "free";
  }

  enter(member: Member, addressKey: string): void {
    this.#members.add(member);
    this.#unauthenticated += 1;
    const here = this.#strangers.get(addressKey);
    if (here === undefined && this.#strangers.size >= this.#unauthenticated + idlePlaces) this.#tidy();
    this.#strangers.set(addressKey, (here ?? 0) + 1);
  }

  /** No stranger any more. */
  authenticated(addressKey: string): void {
    this.#unauthenticated -= 1;
    this.#strangers.set(addressKey, (this.#strangers.get(addressKey) ?? 1) - 1);
  }

  leave(member: Member, addressKey: string, wasAuthenticated: boolean): void {
    if (!this.#members.delete(member)) return;
    if (!wasAuthenticated) this.authenticated(addressKey);
  }

  #tidy(): void {
    for (const [addressKey, count] of this.#strangers) if (count === 0) this.#strangers.delete(addressKey);
  }
}
