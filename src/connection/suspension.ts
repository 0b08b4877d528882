import { randomInt } from "node:crypto";

import type { CloseName } from "../../protocol/close-codes.ts";
import type { Authentication, Caller } from "../auth/authentication.ts";
import type { Clock } from "../auth/clock/clock.ts";
import type { RevocationPolicy } from "../auth/revocation/revocation.ts";
import type { RevocationView } from "../auth/revocation/view.ts";
import type { DisabledSafeguards } from "../auth/safeguards.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

/** One authenticated socket as the suspension sees it. After its close all methods do nothing. */
export interface SuspensionMember {
  /** Undefined before `auth_ok` and after the close. */
  readonly caller: Caller | undefined;
  /** The review generation in which it was let in, or was last found to be valid. */
  readonly reviewGeneration: number;
  /** Its generation is over. The policy says what happens to it now. */
  suspend(): void;
  /** It was found to be valid in this generation: it resumes with what waited. */
  resume(reviewGeneration: number): void;
  end(close: CloseName): boolean;
}

export interface SuspensionOptions {
  /** Both are read on every frame. */
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

/** Sockets that are looked up at once. */
const batch = 200;
/** Closes of the same moment are spread over this time, ms. */
const closeSpreadMs = 10_000;
/** How long sockets are processed before other work of the event loop gets a turn, ms. */
const turnMs = 8;
const sweepMs = 1000;
const firstRetryMs = 100;
const lastRetryMs = 5000;

/**
 * Whether this node's sockets may be served: one decision for all of them. When trust is lost a new review generation
 * begins. A socket of an older generation counts as suspended from that moment, at no cost until somebody looks at
 * it. When trust is back, each socket of an older generation is looked up in the store, and is closed or moved to the
 * present generation.
 * Trust is checked on every frame and before everything that is sent: in a process that was stopped, timers fire
 * late. It is also checked every 100 ms, so that idle sockets are told, and so that a return of trust is noticed.
 */
export class Suspension implements TimerOwner {
  readonly policy: RevocationPolicy;
  readonly checksInput: boolean;
  readonly checksOutput: boolean;
  /** Sockets that are suspended now. The sockets keep this count. */
  sockets = 0;
  readonly #options: SuspensionOptions;
  readonly #view: Pick<RevocationView, "trusted" | "invalidationCount">;
  readonly #timer = new Timer(this);
  #trusted: boolean;
  #invalidationCount: number;
  #reviewGeneration = 0;
  /** Every socket is in this generation or a later one. */
  #clearedGeneration = 0;
  #reviewedGeneration: number | undefined;
  #lapsedAt = 0;
  /** When the first lapse since all sockets were served began. */
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

  /** Checks the trust and returns the present generation. Hot path: two reads and two comparisons. */
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

  /**
   * Milliseconds from now until the first socket that was suspended at `since` may be closed, and until this one is.
   */
  closesIn(since: number): { readonly soonestMs: number; readonly ownMs: number } {
    const { clock, suspensionMs } = this.#options;
    const wholeMs = this.policy === "close" ? 0 : suspensionMs;
    const soonestMs = Math.max(0, since + wholeMs - clock.monotonic());
    return { soonestMs, ownMs: soonestMs + randomInt(closeSpreadMs) };
  }

  /** A socket was let in. From now on a lapse must be noticed. */
  watch(): void {
    if (!this.#timer.isSet) this.#options.wheel.set(this.#timer, 0);
  }

  due(): void {
    const reviewGeneration = this.reviewGeneration();
    if (this.#trusted) this.#goOn(reviewGeneration);
    if (this.policy === "serve_until_exp" && this.#clearedGeneration !== reviewGeneration)
      this.#sweep(reviewGeneration);
    if (this.#clearedGeneration !== reviewGeneration || this.#options.count() > 0) this.watch();
  }

  #changed(trusted: boolean, invalidationCount: number): void {
    const lapsed = (this.#trusted && !trusted) || invalidationCount !== this.#invalidationCount;
    this.#trusted = trusted;
    this.#invalidationCount = invalidationCount;
    if (lapsed) this.#lapse();
  }

  #lapse(): void {
    const wasClear = this.#clearedGeneration === this.#reviewGeneration;
    this.#reviewGeneration += 1;
    this.#lapsedAt = this.#options.clock.monotonic();
    this.#failures = 0;
    this.#retryAt = 0;
    const members = this.#older(this.#reviewGeneration);
    if (members.length === 0) this.#clearedGeneration = this.#reviewGeneration;
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

  /** Sockets of older generations. */
  #older(reviewGeneration: number): readonly SuspensionMember[] {
    return this.#options
      .members()
      .filter((member) => member.caller !== undefined && member.reviewGeneration !== reviewGeneration);
  }

  /** Not in the tick that noticed the lapse: that may be the frame of one socket. */
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

  /** Closes sockets whose access token has expired, under the policy `serve_until_exp`. */
  #sweep(reviewGeneration: number): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#sweptAt < sweepMs) return;
    this.#sweptAt = now;
    this.#suspendAll(reviewGeneration, this.#older(reviewGeneration));
  }

  #goOn(reviewGeneration: number): void {
    if (this.#clearedGeneration === reviewGeneration || this.#reviewedGeneration === reviewGeneration) return;
    if (this.#options.clock.monotonic() < this.#retryAt) return;
    if (this.policy !== "close") {
      void this.#review(reviewGeneration);
      return;
    }
    // A socket that is to be closed does not resume. It waits for its moment.
    this.#clearedGeneration = reviewGeneration;
    this.#options.log.info(
      { sockets: this.sockets },
      "it is known again what was revoked: new sockets are served",
    );
  }

  /** Runs until every socket of an older generation is handled, or a new generation begins. Never rejects. */
  async #review(reviewGeneration: number): Promise<void> {
    const { clock, log } = this.#options;
    this.#reviewedGeneration = reviewGeneration;
    try {
      const members = this.#older(reviewGeneration);
      let closed = 0;
      for (let at = 0; at < members.length; at += batch) {
        const ended = await this.#reviewSome(reviewGeneration, members.slice(at, at + batch));
        if (ended === undefined) return;
        closed += ended;
      }
      this.#clearedGeneration = reviewGeneration;
      const suspendedMs = Math.round(clock.monotonic() - this.#suspendedAt);
      const fields = { sockets: members.length, closed, suspended_ms: suspendedMs };
      log.info(fields, "sockets were reviewed and go on");
    } catch (error) {
      this.#retryLater(reviewGeneration, error);
    } finally {
      if (this.#reviewedGeneration === reviewGeneration) this.#reviewedGeneration = undefined;
    }
  }

  /** Returns how many were closed. Undefined if a new generation began meanwhile. */
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
      // A lapse that came after the look-up makes its answer old. A revocation that came meanwhile has closed its
      // socket.
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

  /** A defect at one socket must not stop the others. */
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
