import type { Clock } from "../auth/clock/clock.ts";

/** Whatever a timer calls. */
export interface TimerOwner {
  due(timer: Timer): void;
}

/**
 * An entry of the wheel, which may be set any number of times. What exists once for each socket extends it, which
 * saves an object. Everything else uses `Timer`.
 */
export class WheelPlace {
  /**
   * The wheel's own: the tick at which it is due, its level, and its neighbours in a slot (itself while it is not
   * set).
   */
  dueTick = 0;
  level = 0;
  next: WheelPlace = this;
  previous: WheelPlace = this;

  get isSet(): boolean {
    return this.next !== this;
  }

  /** Called from the wheel's turn, never from inside `set`. */
  due(): void {}
}

export class Timer extends WheelPlace {
  readonly #owner: TimerOwner;

  constructor(owner: TimerOwner) {
    super();
    this.#owner = owner;
  }

  override due(): void {
    this.#owner.due(this);
  }
}

const slotsPerLevel = 64;
const levels = 5;
const reach = slotsPerLevel ** levels;

export interface TimerWheel {
  /**
   * Sets the timer, or sets it anew, in O(1). It never fires early. It fires at most one tick and the event loop's
   * delay late. `now`: the clock's monotonic ms, if the caller has just read it.
   */
  set(timer: WheelPlace, delayMs: number, now?: number): void;
  /** O(1). A timer that is not set may be cancelled. */
  cancel(timer: WheelPlace): void;
  /** Fires what is due by now. The wheel calls it itself; tests with a manual clock do too. */
  turn(): void;
  readonly armed: number;
  /** Cancels every timer. */
  stop(): void;
}

/**
 * One timer for all deadlines: a hierarchical timing wheel of 5 levels of 64 slots. With ticks of 100 ms it reaches
 * 3.4 years; a later deadline is set again then. It sleeps while nothing is set, and keeps no process alive.
 */
export function createTimerWheel(options: {
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  readonly tickMs?: number;
}): TimerWheel {
  return new HierarchicalWheel(options.clock, options.onError, options.tickMs ?? 100);
}

class HierarchicalWheel implements TimerWheel {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #tickMs: number;
  readonly #origin: number;
  /** The head of each slot's ring, level by level. */
  readonly #slots = Array.from({ length: levels * slotsPerLevel }, () => new WheelPlace());
  /** Timers of each level, so that empty parts are skipped. */
  readonly #counts = new Array<number>(levels).fill(0);
  #tick = 0;
  #wake: ReturnType<typeof setTimeout> | undefined;
  armed = 0;

  constructor(clock: Clock, onError: (error: unknown) => void, tickMs: number) {
    this.#clock = clock;
    this.#onError = onError;
    this.#tickMs = tickMs;
    this.#origin = clock.monotonic();
  }

  set(timer: WheelPlace, delayMs: number, now = this.#clock.monotonic()): void {
    this.cancel(timer);
    const elapsed = now - this.#origin;
    if (this.armed === 0) this.#tick = Math.max(this.#tick, Math.floor(elapsed / this.#tickMs));
    timer.dueTick = Math.max(this.#tick + 1, Math.ceil((elapsed + delayMs) / this.#tickMs));
    this.#insert(timer);
    this.armed += 1;
    this.#sleep();
  }

  cancel(timer: WheelPlace): void {
    if (!timer.isSet) return;
    unlink(timer);
    this.#count(timer.level, -1);
    this.armed -= 1;
  }

  turn(): void {
    const target = Math.floor((this.#clock.monotonic() - this.#origin) / this.#tickMs);
    while (this.#tick < target && this.armed > 0) {
      this.#skip(target);
      if (this.#tick < target) this.#advance();
    }
  }

  stop(): void {
    for (const slot of this.#slots) while (slot.isSet) unlink(slot.next);
    this.#counts.fill(0);
    this.armed = 0;
    clearTimeout(this.#wake);
    this.#wake = undefined;
  }

  #sleep(): void {
    if (this.#wake !== undefined) return;
    this.#wake = setTimeout(() => {
      this.#wake = undefined;
      this.turn();
      if (this.armed > 0) this.#sleep();
    }, this.#tickMs);
    this.#wake.unref();
  }

  #insert(timer: WheelPlace): void {
    const ahead = Math.min(timer.dueTick - this.#tick, reach - 1);
    const tick = this.#tick + ahead;
    let level = 0;
    let width = 1;
    while (ahead >= width * slotsPerLevel) {
      width *= slotsPerLevel;
      level += 1;
    }
    timer.level = level;
    this.#count(level, 1);
    linkBefore(this.#slot(level, Math.floor(tick / width)), timer);
  }

  #count(level: number, change: number): void {
    this.#counts[level] = (this.#counts[level] ?? 0) + change;
  }

  /** Advances to just before the next tick at which a level that holds timers has something to do. */
  #skip(target: number): void {
    let width = 1;
    for (let level = 0; level < levels && this.#counts[level] === 0; level += 1) width *= slotsPerLevel;
    const next = (Math.floor(this.#tick / width) + 1) * width;
    this.#tick = Math.max(this.#tick, Math.min(target, next - 1));
  }

  #slot(level: number, position: number): WheelPlace {
    const slot = this.#slots[level * slotsPerLevel + (position % slotsPerLevel)];
    if (slot === undefined) throw new RangeError("no such slot");
    return slot;
  }

  #advance(): void {
    this.#tick += 1;
    let position = this.#tick;
    for (let level = 1; level < levels && position % slotsPerLevel === 0; level += 1) {
      position /= slotsPerLevel;
      this.#spread(this.#slot(level, position));
    }
    const due = this.#slot(0, this.#tick);
    // An owner may set a timer for a later tick of the same slot. A single timer finds the wheel at the present tick
    // already.
    while (due.isSet && due.next.dueTick <= this.#tick) this.#fire(due.next);
  }

  /** Moves a slot's timers to where they belong now: a nearer level, or this very tick. */
  #spread(slot: WheelPlace): void {
    const first = slot.next;
    if (first === slot) return;
    unlink(slot);
    let timer = first;
    for (;;) {
      const following = timer.next;
      const last = following === first;
      timer.next = timer;
      timer.previous = timer;
      this.#count(timer.level, -1);
      this.#insert(timer);
      if (last) return;
      timer = following;
    }
  }

  #fire(timer: WheelPlace): void {
    this.cancel(timer);
    try {
      timer.due();
    } catch (error) {
      this.#onError(error);
    }
  }
}

function linkBefore(slot: WheelPlace, timer: WheelPlace): void {
  timer.previous = slot.previous;
  timer.next = slot;
  slot.previous.next = timer;
  slot.previous = timer;
}

function unlink(timer: WheelPlace): void {
  timer.previous.next = timer.next;
  timer.next.previous = timer.previous;
  timer.next = timer;
  timer.previous = timer;
}
