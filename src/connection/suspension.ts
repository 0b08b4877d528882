import { randomInt } from "node:crypto";

import type { CloseName } from "../../protocol/close-codes.ts";
import type { Authentication, Caller } from "../auth/authentication.ts";
import type { Clock } from "../auth/clock.ts";
import type { Weakened } from "../auth/protections.ts";
import type { RevocationPolicy } from "../auth/revocation/policy.ts";
import type { RevocationView } from "../auth/revocation/revocation.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

/** One authenticated socket as the suspension sees it. All methods are inert after its close. */
export interface SuspensionMember {
  /** Undefined before `auth_ok` and after the close. */
  readonly caller: Caller | undefined;
  /** The round in which it was let in or last found good. */
  readonly round: number;
  /** Its round is over: what the policy says happens to it now. */
  suspend(): void;
  /** It was found good in `round`: it goes on with what waited. */
  resume(round: number): void;
  end(close: CloseName): boolean;
}

export interface SuspensionOptions {
  /** Both are asked on every frame. */
  readonly view: Pick<RevocationView, "trusted" | "gaps">;
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
  readonly weakened: Weakened;
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
  readonly #view: Pick<RevocationView, "trusted" | "gaps">;
  readonly #timer = new Timer(this);
  #trusted: boolean;
  #gaps: number;
  #round = 0;
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
    this.#gaps = options.view.gaps;
    this.policy = options.policy;
    this.checksInput = !options.weakened.has("input_check");
    this.checksOutput = !options.weakened.has("flush_check");
  }

  /** Looks at the trust and gives the present round. Hot path: two reads and two comparisons. */
  round(): number {
    const { trusted, gaps } = this.#view;
    if (trusted !== this.#trusted || gaps !== this.#gaps) this.#changed(trusted, gaps);
    return this.#round;
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
    const round = this.round();
    if (this.#trusted) this.#goOn(round);
    if (this.policy === "serve_until_exp" && this.#clearedRound !== round) this.#sweep(round);
    if (this.#clearedRound !== round || this.#options.count() > 0) this.watch();
  }

  #changed(trusted: boolean, gaps: number): void {
    const lapsed = (this.#trusted && !trusted) || gaps !== this.#gaps;
    this.#trusted = trusted;
    this.#gaps = gaps;
    if (lapsed) this.#lapse();
  }

  #lapse(): void {
    const wasClear = this.#clearedRound === this.#round;
    this.#round += 1;
    this.#lapsedAt = this.#options.clock.monotonic();
    this.#failures = 0;
    this.#retryAt = 0;
    const members = this.#older(this.#round);
    if (members.length === 0) this.#clearedRound = this.#round;
    else if (wasClear) this.#tell(members.length);
    this.#suspendAll(this.#round, members);
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
  #older(round: number): readonly SuspensionMember[] {
    return this.#options.members().filter((member) => member.caller !== undefined && member.round !== round);
  }

  /** Not in the turn that found the lapse: that may be one frame of one socket. */
  #suspendAll(round: number, members: readonly SuspensionMember[], from = 0): void {
    if (members.length === 0) return;
    setImmediate(() => {
      const { clock } = this.#options;
      const until = clock.monotonic() + turnMs;
      let at = from;
      for (; at < members.length && round === this.#round; at += 1) {
        if (at % batch === batch - 1 && clock.monotonic() >= until) break;
        const member = members[at];
        if (member !== undefined && member.round !== round) this.#attempt(member, () => member.suspend());
      }
      if (at < members.length && round === this.#round) this.#suspendAll(round, members, at);
    });
  }

  /** Ends of access tokens, where those count and nobody else looks. */
  #sweep(round: number): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#sweptAt < sweepMs) return;
    this.#sweptAt = now;
    this.#suspendAll(round, this.#older(round));
  }

  #goOn(round: number): void {
    if (this.#clearedRound === round || this.#reviewedRound === round) return;
    if (this.#options.clock.monotonic() < this.#retryAt) return;
    if (this.policy !== "close") {
      void this.#review(round);
      return;
    }
    // Who is to be closed is not let go on, and waits for its moment.
    this.#clearedRound = round;
    this.#options.log.info(
      { sockets: this.sockets },
      "it is known again what was revoked: new sockets are served",
    );
  }

  /** Until every socket of an older round is dealt with, or a new round begins. Never rejects. */
  async #review(round: number): Promise<void> {
    const { clock, log } = this.#options;
    this.#reviewedRound = round;
    try {
      const members = this.#older(round);
      let closed = 0;
      for (let at = 0; at < members.length; at += batch) {
        const ended = await this.#reviewSome(round, members.slice(at, at + batch));
        if (ended === undefined) return;
        closed += ended;
      }
      this.#clearedRound = round;
      const suspendedMs = Math.round(clock.monotonic() - this.#suspendedAt);
      const fields = { sockets: members.length, closed, suspended_ms: suspendedMs };
      log.info(fields, "sockets were reviewed and go on");
    } catch (error) {
      this.#retryLater(round, error);
    } finally {
      if (this.#reviewedRound === round) this.#reviewedRound = undefined;
    }
  }

  /** How many of them were closed; undefined when a new round began meanwhile. */
  async #reviewSome(round: number, some: readonly SuspensionMember[]): Promise<number | undefined> {
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
      if (round !== this.round()) return undefined;
      const close = ends[place];
      this.#attempt(member, () => {
        if (close === undefined) member.resume(round);
        else if (member.end(close)) closed += 1;
      });
    }
    observer.reviewed(live.length, closed);
    await nextTurn();
    return closed;
  }

  async #endsOf(callers: readonly Caller[]): Promise<readonly (CloseName | undefined)[]> {
    const { authentication, weakened } = this.#options;
    if (callers.length === 0 || weakened.has("review")) return [];
    return await authentication.review(callers);
  }

  #retryLater(round: number, error: unknown): void {
    const { clock, log } = this.#options;
    if (round !== this.#round) return;
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
