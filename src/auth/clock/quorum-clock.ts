import type { Clock } from "./clock.ts";

/** Clocks agree if they differ by no more than this, ms. */
export const clockLeewayMs = 10_000;
/** A new time is accepted after it was steady for this long, ms. */
export const confirmMs = 10 * 60_000;

/** How far each clock differs from the time that was known before, ms. Positive: it is ahead. */
export interface ClockDisagreement {
  readonly machineAheadMs: number;
  /** Null: the store has no clock of its own. */
  readonly storeAheadMs: number | null;
  /** Found when the process began: the time that was known before is as old as the pause was long. */
  readonly atStart: boolean;
}

export interface ClockObserver {
  disagreed(disagreement: ClockDisagreement): void;
  /** The clocks agree again, or were steady for `confirmMs`. */
  agreed(): void;
}

interface Reading {
  readonly time: number;
  readonly monotonic: number;
  readonly uptime: number | undefined;
}

interface Disagreement {
  /** The time to confirm, when it was first seen, and since when it has been steady. */
  candidate: Reading;
  /** Found at start-up. The saved time is then as old as the pause was long, so a machine clock ahead of it is believed. */
  readonly atStart: boolean;
}

/**
 * The time by a quorum of three clocks: this machine's wall clock, the store's clock if it has one, and the last
 * known time, extrapolated by the monotonic clock. The time is what two of three agree on. If there are two and they
 * disagree, the last known time counts.
 *
 * While they disagree, a time is certainly past only if it is past by all of them: see `earliest`. The disagreement
 * ends when they agree again, or when machine and store have agreed on another time for `confirmMs`. So one clock
 * that is set wrong, or corrected after it was wrong, ends no session and deletes no record. NOT detected: a clock
 * that is wrong for longer.
 */
export class QuorumClock implements Clock {
  readonly machine: Clock;
  readonly #observer: Partial<ClockObserver>;
  /** Undefined before `start`: no time is known, and none is certainly past. */
  #known: Reading | undefined;
  #store: Reading | undefined;
  #disagreement: Disagreement | undefined;

  constructor(machine: Clock, observer: Partial<ClockObserver> = {}) {
    this.machine = machine;
    this.#observer = observer;
  }

  /** `remembered`: a time, ms, that was certainly past when the last process ran. */
  start(remembered: number | undefined, storeTime?: number): void {
    const now = this.machine.now();
    if (storeTime !== undefined) this.#store = this.#reading(storeTime);
    const start = chooseStart({ machine: now, store: storeTime ?? now, remembered });
    this.#known = this.#reading(start);
    if (remembered === undefined && areClose([now, storeTime ?? now])) return;
    if (this.#isShortlyAfter(start)) this.#accept(now);
    else this.#startDisagreement(true);
  }

  /** Compares the clocks; call it every second. `storeTime`: a new sample of the store's clock. */
  check(storeTime?: number): void {
    if (storeTime !== undefined) this.#store = this.#reading(storeTime);
    const { machine, known, store } = this.#readings();
    if (known === undefined) return;
    if (areClose([machine, known, store ?? known]) || this.#hasSlept(machine)) this.#accept(machine);
    else if (this.#disagreement === undefined) this.#startDisagreement(false);
    else this.#confirm(this.#disagreement);
    this.#adjust();
  }

  /** Hot path: two readings of the clock and a few comparisons. */
  now(): number {
    const machine = this.machine.now();
    if (this.#known === undefined) return machine;
    const monotonic = this.machine.monotonic();
    const known = extrapolate(this.#known, monotonic);
    if (this.#store !== undefined) return median(machine, known, extrapolate(this.#store, monotonic));
    if (Math.abs(machine - known) <= clockLeewayMs) return machine;
    return this.#disagreement?.atStart === true ? Math.max(machine, known) : known;
  }

  monotonic(): number {
    return this.machine.monotonic();
  }

  earliest(): number {
    const { machine, known, store = machine } = this.#readings();
    if (known === undefined) return Number.NEGATIVE_INFINITY;
    return Math.min(machine, known, store);
  }

  /** Undefined while all agree. */
  get disagreement(): ClockDisagreement | undefined {
    if (this.#disagreement === undefined) return undefined;
    const { machine, known = machine, store } = this.#readings();
    const { atStart } = this.#disagreement;
    return {
      machineAheadMs: machine - known,
      storeAheadMs: store === undefined ? null : store - known,
      atStart,
    };
  }

  /** A time that is certainly past and may be saved. Undefined while the clocks disagree. */
  get certainlyPast(): number | undefined {
    return this.#known === undefined || this.#disagreement !== undefined ? undefined : this.earliest();
  }

  #readings(): { readonly machine: number; readonly known?: number; readonly store?: number } {
    const machine = this.machine.now();
    if (this.#known === undefined) return { machine };
    const monotonic = this.machine.monotonic();
    const known = extrapolate(this.#known, monotonic);
    return this.#store === undefined
      ? { machine, known }
      : { machine, known, store: extrapolate(this.#store, monotonic) };
  }

  /** True if the process was stopped for a short time only. */
  #isShortlyAfter(start: number): boolean {
    const { machine, store = machine } = this.#readings();
    const shortlyAfter = (time: number) => time >= start - clockLeewayMs && time <= start + confirmMs;
    return areClose([machine, store]) && shortlyAfter(machine);
  }

  #hasSlept(machine: number): boolean {
    const since = this.#known;
    const uptime = this.machine.uptime?.();
    if (this.#disagreement?.atStart === true || since?.uptime === undefined || uptime === undefined)
      return false;
    const { store = machine } = this.#readings();
    return areClose([machine, store, since.time + uptime - since.uptime]);
  }

  #startDisagreement(atStart: boolean): void {
    this.#disagreement = { candidate: this.#reading(this.machine.now()), atStart };
    const { disagreement } = this;
    if (disagreement !== undefined) this.#observer.disagreed?.(disagreement);
  }

  #confirm(disagreement: Disagreement): void {
    const { machine, known = machine, store = machine } = this.#readings();
    const monotonic = this.machine.monotonic();
    const steady = areClose([machine, store, extrapolate(disagreement.candidate, monotonic)]);
    if (!steady) disagreement.candidate = this.#reading(machine);
    const isConfirmed = steady && monotonic - disagreement.candidate.monotonic >= confirmMs;
    if (isConfirmed || (disagreement.atStart && this.#isShortlyAfter(known))) this.#accept(machine);
  }

  #accept(time: number): void {
    const hadDisagreed = this.#disagreement !== undefined;
    this.#disagreement = undefined;
    this.#known = this.#reading(time);
    if (hadDisagreed) this.#observer.agreed?.();
  }

  /**
   * The last known time follows the clock that it agrees with, also during a disagreement, because monotonic clocks
   * drift.
   */
  #adjust(): void {
    const { known } = this.#readings();
    const now = this.now();
    if (known !== undefined && Math.abs(now - known) <= clockLeewayMs) this.#known = this.#reading(now);
  }

  #reading(time: number): Reading {
    return { time, monotonic: this.machine.monotonic(), uptime: this.machine.uptime?.() };
  }
}

function areClose(times: readonly number[]): boolean {
  return Math.max(...times) - Math.min(...times) <= clockLeewayMs;
}

/**
 * The time to start with. If machine and store disagree, it is the one that implies the shorter time since the saved
 * one. If no time was saved it is the store's, which is the same for all nodes.
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

/** In whole milliseconds, like a wall clock and the times in records. */
function extrapolate({ time, monotonic }: Reading, now: number): number {
  return Math.floor(time + (now - monotonic));
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
