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

/** Every open socket of this node, and how many of them are strangers. */
export class Roster<Member extends Seated> {
  readonly #limits: RosterLimits;
  readonly #members = new Seats<Member>();
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
    this.#strangers.set(place, (this.#strangers.get(place) ?? 0) + 1);
  }

  /** No stranger any more. */
  authenticated(place: string): void {
    this.#unauthenticated -= 1;
    const left = (this.#strangers.get(place) ?? 1) - 1;
    if (left > 0) this.#strangers.set(place, left);
    else this.#strangers.delete(place);
  }

  leave(member: Member, place: string, wasAuthenticated: boolean): void {
    if (!this.#members.delete(member)) return;
    if (!wasAuthenticated) this.authenticated(place);
  }
}
