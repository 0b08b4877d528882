import { type Seated, Seats } from "./seats.ts";

export interface RosterLimits {
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
export class Roster<Member extends Seated> {
  readonly #limits: RosterLimits;
  readonly #members = new Seats<Member>();
  /** By place. A place whose last stranger left stays for the next one until `#tidy`. */
  readonly #strangers = new Map<string, number>();
  #unauthenticated = 0;

  constructor(limits: RosterLimits) {
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
  roomFor(place: string): Room {
    if (this.#members.size >= this.#limits.sockets) return "full";
    if (this.#unauthenticated >= this.#limits.unauthenticated) return "full";
    const here = this.#strangers.get(place) ?? 0;
    return here >= this.#limits.unauthenticatedPerAddress ? "address_full" : "free";
  }

  enter(member: Member, place: string): void {
    this.#members.add(member);
    this.#unauthenticated += 1;
    const here = this.#strangers.get(place);
    if (here === undefined && this.#strangers.size >= this.#unauthenticated + idlePlaces) this.#tidy();
    this.#strangers.set(place, (here ?? 0) + 1);
  }

  /** No stranger any more. */
  authenticated(place: string): void {
    this.#unauthenticated -= 1;
    this.#strangers.set(place, (this.#strangers.get(place) ?? 1) - 1);
  }

  leave(member: Member, place: string, wasAuthenticated: boolean): void {
    if (!this.#members.delete(member)) return;
    if (!wasAuthenticated) this.authenticated(place);
  }

  #tidy(): void {
    for (const [place, count] of this.#strangers) if (count === 0) this.#strangers.delete(place);
  }
}
