import type { Clock } from "./clock.ts";

/** Clocks that differ by no more agree, ms. */
export const clockLeewayMs = 10_000;
/** A new time is accepted after it was steady for so long, ms. */
export const confirmMs = 10 * 60_000;

/** By how much a clock differs from the time that was known before, ms; positive: it is ahead. */
export interface ClockDisagreement {
  readonly machineAheadMs: number;
  /** Null: the store has no clock of its own. */
  readonly storeAheadMs: number | null;
}

export interface ClockObserver {
  disagreed(doubt: ClockDisagreement): void;
  /** The clocks agree, or were steady for long enough. */
  agreed(): void;
}

interface Reading {
  readonly time: number;
  readonly monotonic: number;
  readonly uptime: number | undefined;
}

interface Disagreement {
  /** The time that is to be confirmed, since when it has been steady, and what it was then. */
  candidate: Reading;
  /** A remembered time may be as old as the process was not running: this machine's clock may be ahead of it. */
  readonly atStart: boolean;
}

/**
 * The time, as three witnesses have it: this machine's wall clock, the store's clock where it has one, and the time that
 * was known before, carried on by the monotonic clock. What two of three agree on is the time. Of two that disagree the
 * one that was known before is.
 *
 * While any of them disagrees nothing is surely over but what is over by all of them: see `earliest`. That ends when they
 * agree again, or when machine and store have agreed on another time for `confirmMs`. So one clock that is set wrong, or
 * set right after it was wrong, ends no session and deletes no record. NOT noticed: a clock that is wrong for longer.
 */
export class QuorumClock implements Clock {
  readonly machine: Clock;
  readonly #observer: Partial<ClockObserver>;
  /** Undefined before `begin`: nothing is known, and nothing is over. */
  #known: Reading | undefined;
  #store: Reading | undefined;
  #doubt: Disagreement | undefined;

  constructor(machine: Clock, observer: Partial<ClockObserver> = {}) {
    this.machine = machine;
    this.#observer = observer;
  }

  /** `remembered`: a time, ms, that was known to be past when the process ran last. */
  start(remembered: number | undefined, storeTime?: number): void {
    const now = this.machine.now();
    if (storeTime !== undefined) this.#store = this.#anchor(storeTime);
    const start = chooseStart({ machine: now, store: storeTime ?? now, remembered });
    this.#known = this.#anchor(start);
    if (remembered === undefined && areClose([now, storeTime ?? now])) return;
    if (this.#isSoonAfter(start)) this.#settle(now);
    else this.#beginDoubt(true);
  }

  /** Looks at the clocks: call it every second. `storeTime`: a new sample of the store's clock. */
  check(storeTime?: number): void {
    if (storeTime !== undefined) this.#store = this.#anchor(storeTime);
    const { machine, known, store } = this.#witnesses();
    if (known === undefined) return;
    if (areClose([machine, known, store ?? known]) || this.#sleptUntil(machine)) this.#settle(machine);
    else if (this.#doubt === undefined) this.#beginDoubt(false);
    else this.#confirm(this.#doubt);
    this.#follow();
  }

  /** Hot path: two readings of the clock and a few comparisons. */
  now(): number {
    const machine = this.machine.now();
    if (this.#known === undefined) return machine;
    const monotonic = this.machine.monotonic();
    const known = extrapolate(this.#known, monotonic);
    if (this.#store !== undefined) return median(machine, known, extrapolate(this.#store, monotonic));
    if (Math.abs(machine - known) <= clockLeewayMs) return machine;
    return this.#doubt?.atStart === true ? Math.max(machine, known) : known;
  }

  monotonic(): number {
    return this.machine.monotonic();
  }

  earliest(): number {
    const { machine, known, store = machine } = this.#witnesses();
    if (known === undefined) return Number.NEGATIVE_INFINITY;
    return Math.min(machine, known, store);
  }

  /** Undefined while all agree. */
  get disagreement(): ClockDisagreement | undefined {
    if (this.#doubt === undefined) return undefined;
    const { machine, known = machine, store } = this.#witnesses();
    return { machineAheadMs: machine - known, storeAheadMs: store === undefined ? null : store - known };
  }

  /** What may be remembered as past; undefined while that is in doubt. */
  get certainlyPast(): number | undefined {
    return this.#known === undefined || this.#doubt !== undefined ? undefined : this.earliest();
  }

  #witnesses(): { readonly machine: number; readonly known?: number; readonly store?: number } {
    const machine = this.machine.now();
    if (this.#known === undefined) return { machine };
    const monotonic = this.machine.monotonic();
    const known = extrapolate(this.#known, monotonic);
    return this.#store === undefined
      ? { machine, known }
      : { machine, known, store: extrapolate(this.#store, monotonic) };
  }

  /** A process that was away for a moment. */
  #isSoonAfter(start: number): boolean {
    const { machine, store = machine } = this.#witnesses();
    const soon = (time: number) => time >= start - clockLeewayMs && time <= start + confirmMs;
    return areClose([machine, store]) && soon(machine);
  }

  #sleptUntil(machine: number): boolean {
    const since = this.#known;
    const uptime = this.machine.uptime?.();
    if (this.#doubt?.atStart === true || since?.uptime === undefined || uptime === undefined) return false;
    const { store = machine } = this.#witnesses();
    return areClose([machine, store, since.time + uptime - since.uptime]);
  }

  #beginDoubt(atStart: boolean): void {
    this.#doubt = { candidate: this.#anchor(this.machine.now()), atStart };
    const { disagreement } = this;
    if (disagreement !== undefined) this.#observer.disagreed?.(disagreement);
  }

  #confirm(doubt: Disagreement): void {
    const { machine, known = machine, store = machine } = this.#witnesses();
    const monotonic = this.machine.monotonic();
    const steady = areClose([machine, store, extrapolate(doubt.candidate, monotonic)]);
    if (!steady) doubt.candidate = this.#anchor(machine);
    const isConfirmed = steady && monotonic - doubt.candidate.monotonic >= confirmMs;
    if (isConfirmed || (doubt.atStart && this.#isSoonAfter(known))) this.#settle(machine);
  }

  #settle(time: number): void {
    const wasInDoubt = this.#doubt !== undefined;
    this.#doubt = undefined;
    this.#known = this.#anchor(time);
    if (wasInDoubt) this.#observer.agreed?.();
  }

  /** In doubt too the time that is known follows the clock that it agrees with, since monotonic clocks drift. */
  #follow(): void {
    const { known } = this.#witnesses();
    const now = this.now();
    if (known !== undefined && Math.abs(now - known) <= clockLeewayMs) this.#known = this.#anchor(now);
  }

  #anchor(time: number): Reading {
    return { time, monotonic: this.machine.monotonic(), uptime: this.machine.uptime?.() };
  }
}

function areClose(times: readonly number[]): boolean {
  return Math.max(...times) - Math.min(...times) <= clockLeewayMs;
}

/**
 * What to begin with. Where machine and store disagree it is the one that needs the shorter time since what is remembered,
 * and the store, which is the same for all nodes, where nothing is.
 */
function chooseStart(times: {
  readonly machine: number;
  readonly store: number;
  readonly remembered: number | undefined;
}): number {
  const { machine, store, remembered } = times;
  if (remembered === undefined) return store;
  if (areClose([machine, store])) return remembered;
  const possible = [machine, store].filter((time) => time >= remembered - clockLeewayMs);
  return possible.length === 0 ? remembered : Math.min(...possible);
}

/** Whole milliseconds, as a wall clock has them and records keep them. */
function extrapolate({ time, monotonic }: Reading, now: number): number {
  return Math.floor(time + (now - monotonic));
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
