import { randomInt } from "node:crypto";

import type { CloseName } from "../../protocol/close-codes.ts";
import type { Authentication, Caller } from "../auth/authentication.ts";
import type { Clock } from "../auth/clock/clock.ts";
import type { RevocationPolicy } from "../auth/revocation/revocation.ts";
import type { RevocationView } from "../auth/revocation/view.ts";
import type { DisabledSafeguards } from "../auth/safeguards.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

/** One authenticated socket as the suspension sees it. All methods are inert after its close. */
export interface SuspensionMember {
  /** Undefined before `auth_ok` and after the close. */
  readonly caller: Caller | undefined;
  /** The round in which it was let in or last found good. */
  readonly reviewGeneration: number;
  /** Its round is over: what the policy says happens to it now. */
  suspend(): void;
  /** It was found good in `round`: it goes on with what waited. */
  resume(reviewGeneration: number): void;
  end(close: CloseName): boolean;
}

export interface SuspensionOptions {
  /** Both are asked on every frame. */
  readonly view: Pick<RevocationView, "trusted" | "invalidationCount">;
  readonly authentication: Pick<Authentication, "review">;
  /** A copy. */
  readonly members: () => readonly SuspensionMember[];
  readonly count: () => number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: ConnectionLog;
  readonly observer: Pick<ConnectionObserver, "lapsed" | "reviewed">;
  readonly policy: RevocationPolicy;
  /** How long a socket may be suspended, ms. */
  readonly suspensionMs: number;
  readonly disabledSafeguards: DisabledSafeguards;
}

const consequence: Record<RevocationPolicy, string> = {
  suspend: "sockets are suspended",
  close: "sockets are closed",
  serve_until_exp: "sockets are served until their access tokens end",
};

/** Sockets of one review. */
const batch = 200;
/** Closes of one moment are spread over so long. */
const closeSpreadMs = 10_000;
/** How long sockets are dealt with before everybody else gets a turn. */
const turnMs = 8;
const sweepMs = 1000;
const firstRetryMs = 100;
const lastRetryMs = 5000;

/**
 * Whether this node's sockets may be served: one for all of them (reference 7.2). A lapse of trust begins a new round; a
 * socket whose round is not the present one is suspended, so a lapse suspends all of them in the moment in which anybody
 * finds it, and none of them costs anything until then. When trust is back each socket of an older round is reviewed by
 * the store's word, and closed or taken into the round.
 *
 * Trust is looked at on every frame and before everything that is sent, because a process that was stopped finds its
 * timers late, and besides at every turn of the wheel (100 ms) so that idle sockets are told and trust is found back.
 */
export class Suspension implements TimerOwner {
  readonly policy: RevocationPolicy;
  readonly checksInput: boolean;
  readonly checksOutput: boolean;
  /** Sockets that are suspended now; kept by the sockets. */
  sockets = 0;
  readonly #options: SuspensionOptions;
  readonly #view: Pick<RevocationView, "trusted" | "invalidationCount">;
  readonly #timer = new Timer(this);
  #trusted: boolean;
  #invalidationCount: number;
  #reviewGeneration = 0;
  /** The round in which every socket is. */
  #clearedRound = 0;
  #reviewedRound: number | undefined;
  #lapsedAt = 0;
  /** When the first lapse came since all sockets were served. */
  #suspendedAt = 0;
  #retryAt = 0;
  #failures = 0;
  #sweptAt = 0;

  constructor(options: SuspensionOptions) {
    this.#options = options;
    this.#view = options.view;
    this.#trusted = options.view.trusted;
    this.#invalidationCount = options.view.invalidationCount;
    this.policy = options.policy;
    this.checksInput = !options.disabledSafeguards.has("input_check");
    this.checksOutput = !options.disabledSafeguards.has("flush_check");
  }

  /** Looks at the trust and gives the present round. Hot path: two reads and two comparisons. */
  reviewGeneration(): number {
    const { trusted, invalidationCount } = this.#view;
    if (trusted !== this.#trusted || invalidationCount !== this.#invalidationCount)
      this.#changed(trusted, invalidationCount);
    return this.#reviewGeneration;
  }

  /** When the present suspension began, monotonic ms. */
  get lapsedAt(): number {
    return this.#lapsedAt;
  }

  /** Ms from now until a socket that was suspended at `since` may be closed, and until this one is. */
  closesIn(since: number): { readonly soonestMs: number; readonly ownMs: number } {
    const { clock, suspensionMs } = this.#options;
    const wholeMs = this.policy === "close" ? 0 : suspensionMs;
    const soonestMs = Math.max(0, since + wholeMs - clock.monotonic());
    return { soonestMs, ownMs: soonestMs + randomInt(closeSpreadMs) };
  }

  /** A socket was let in: somebody has to be told of a lapse. */
  watch(): void {
    if (!this.#timer.isSet) this.#options.wheel.set(this.#timer, 0);
  }

  due(): void {
    const reviewGeneration = this.reviewGeneration();
    if (this.#trusted) this.#goOn(reviewGeneration);
    if (this.policy === "serve_until_exp" && this.#clearedRound !== reviewGeneration)
      this.#sweep(reviewGeneration);
    if (this.#clearedRound !== reviewGeneration || this.#options.count() > 0) this.watch();
  }

  #changed(trusted: boolean, invalidationCount: number): void {
    const lapsed = (this.#trusted && !trusted) || invalidationCount !== this.#invalidationCount;
    this.#trusted = trusted;
    this.#invalidationCount = invalidationCount;
    if (lapsed) this.#lapse();
  }

  #lapse(): void {
    const wasClear = this.#clearedRound === this.#reviewGeneration;
    this.#reviewGeneration += 1;
    this.#lapsedAt = this.#options.clock.monotonic();
    this.#failures = 0;
    this.#retryAt = 0;
    const members = this.#older(this.#reviewGeneration);
    if (members.length === 0) this.#clearedRound = this.#reviewGeneration;
    else if (wasClear) this.#tell(members.length);
    this.#suspendAll(this.#reviewGeneration, members);
  }

  #tell(sockets: number): void {
    const { policy } = this;
    this.#suspendedAt = this.#lapsedAt;
    this.#options.observer.lapsed();
    const reason = this.#trusted ? "gap" : "not_trusted";
    this.#options.log.warn(
      { sockets, policy, reason },
      `it is not known what was revoked: ${consequence[policy]}`,
    );
  }

  /** Sockets that are not in `round`. */
  #older(reviewGeneration: number): readonly SuspensionMember[] {
    return this.#options
      .members()
      .filter((member) => member.caller !== undefined && member.reviewGeneration !== reviewGeneration);
  }

  /** Not in the turn that found the lapse: that may be one frame of one socket. */
  #suspendAll(reviewGeneration: number, members: readonly SuspensionMember[], from = 0): void {
    if (members.length === 0) return;
    setImmediate(() => {
      const { clock } = this.#options;
      const until = clock.monotonic() + turnMs;
      let at = from;
      for (; at < members.length && reviewGeneration === this.#reviewGeneration; at += 1) {
        if (at % batch === batch - 1 && clock.monotonic() >= until) break;
        const member = members[at];
        if (member !== undefined && member.reviewGeneration !== reviewGeneration)
          this.#attempt(member, () => member.suspend());
      }
      if (at < members.length && reviewGeneration === this.#reviewGeneration)
        this.#suspendAll(reviewGeneration, members, at);
    });
  }

  /** Ends of access tokens, where those count and nobody else looks. */
  #sweep(reviewGeneration: number): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#sweptAt < sweepMs) return;
    this.#sweptAt = now;
    this.#suspendAll(reviewGeneration, this.#older(reviewGeneration));
  }

  #goOn(reviewGeneration: number): void {
    if (this.#clearedRound === reviewGeneration || this.#reviewedRound === reviewGeneration) return;
    if (this.#options.clock.monotonic() < this.#retryAt) return;
    if (this.policy !== "close") {
      void this.#review(reviewGeneration);
      return;
    }
    // Who is to be closed is not let go on, and waits for its moment.
    this.#clearedRound = reviewGeneration;
    this.#options.log.info(
      { sockets: this.sockets },
      "it is known again what was revoked: new sockets are served",
    );
  }

  /** Until every socket of an older round is dealt with, or a new round begins. Never rejects. */
  async #review(reviewGeneration: number): Promise<void> {
    const { clock, log } = this.#options;
    this.#reviewedRound = reviewGeneration;
    try {
      const members = this.#older(reviewGeneration);
      let closed = 0;
      for (let at = 0; at < members.length; at += batch) {
        const ended = await this.#reviewSome(reviewGeneration, members.slice(at, at + batch));
        if (ended === undefined) return;
        closed += ended;
      }
      this.#clearedRound = reviewGeneration;
      const suspendedMs = Math.round(clock.monotonic() - this.#suspendedAt);
      const fields = { sockets: members.length, closed, suspended_ms: suspendedMs };
      log.info(fields, "sockets were reviewed and go on");
    } catch (error) {
      this.#retryLater(reviewGeneration, error);
    } finally {
      if (this.#reviewedRound === reviewGeneration) this.#reviewedRound = undefined;
    }
  }

  /** How many of them were closed; undefined when a new round began meanwhile. */
  async #reviewSome(
    reviewGeneration: number,
    some: readonly SuspensionMember[],
  ): Promise<number | undefined> {
    const { clock, observer } = this.#options;
    const live = some.flatMap((member) => {
      const { caller } = member;
      return caller === undefined ? [] : [{ member, caller }];
    });
    const ends = await this.#endsOf(live.map(({ caller }) => caller));
    let closed = 0;
    let until = clock.monotonic() + turnMs;
    for (const [place, { member }] of live.entries()) {
      if (clock.monotonic() >= until) {
        await nextTurn();
        until = clock.monotonic() + turnMs;
      }
      // The store's word is older than a lapse that came after it. A cut that came meanwhile has closed its socket.
      if (reviewGeneration !== this.reviewGeneration()) return undefined;
      const close = ends[place];
      this.#attempt(member, () => {
        if (close === undefined) member.resume(reviewGeneration);
        else if (member.end(close)) closed += 1;
      });
    }
    observer.reviewed(live.length, closed);
    await nextTurn();
    return closed;
  }

  async #endsOf(callers: readonly Caller[]): Promise<readonly (CloseName | undefined)[]> {
    const { authentication, disabledSafeguards } = this.#options;
    if (callers.length === 0 || disabledSafeguards.has("review")) return [];
    return await authentication.review(callers);
  }

  #retryLater(reviewGeneration: number, error: unknown): void {
    const { clock, log } = this.#options;
    if (reviewGeneration !== this.#reviewGeneration) return;
    const ceilingMs = Math.min(lastRetryMs, firstRetryMs * 2 ** this.#failures);
    this.#failures += 1;
    this.#retryAt = clock.monotonic() + ceilingMs / 2 + randomInt(ceilingMs / 2);
    log.warn(
      { err: error, failures: this.#failures },
      "suspended sockets could not be reviewed, trying again",
    );
  }

  /** A defect at one socket keeps no other from its turn. */
  #attempt(member: SuspensionMember, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.log.error({ err: error }, "suspended socket could not be dealt with");
      member.end("internal_error");
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
