import { randomInt } from "node:crypto";

import type { CloseName } from "../../protocol/close-codes.ts";
import type { ServerMessage } from "../../protocol/frames.ts";
import type { Clock } from "../auth/clock/clock.ts";
import type { Principal } from "../auth/model.ts";
import type { Sessions } from "../auth/sessions/sessions.ts";
import type { ConnectionLog } from "./observer.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

export interface ExpiryParts {
  readonly sessions: Pick<Sessions, "expireIfDue">;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: ConnectionLog;
}

/** A client that promised to refresh is closed this long after its access token expired, ms. */
const graceMs = 30_000;
/** Expiry is a time of the wall clock, which may be set. So it is looked at this often, ms. */
const lookAgainMs = 3_600_000;
const retryMs = 5000;

/** What the expiry needs of its connection. */
export interface ExpiryHost {
  /**
   * The socket is suspended. Neither expiry counts until it resumes, because a refresh may be among the messages that
   * wait.
   */
  readonly suspended: boolean;
  send(message: ServerMessage): void;
  end(close: CloseName): boolean;
}

/**
 * When an authenticated socket expires: with its session and, if the client negotiated `auth_expiring`, `graceMs`
 * after its access token, unless `auth/refresh` came. Without that feature an open socket outlives its token, as in
 * Home Assistant.
 */
export class Expiry implements TimerOwner {
  readonly #parts: ExpiryParts;
  readonly #host: ExpiryHost;
  readonly #timer = new Timer(this);
  readonly #sessionId: string;
  #sessionEndsAt: number | null;
  #tokenEndsAt: number;
  /** When to announce the token's expiry. Null: not negotiated, or announced already. */
  #announceAt: number | null = null;
  #closesWithToken = false;
  #tokenIssuedAt: number;
  #reading = false;
  /** Another read is due: the one under way may have begun before the change. */
  #readOwed = false;
  #stopped = false;

  constructor(parts: ExpiryParts, host: ExpiryHost, principal: Principal) {
    this.#parts = parts;
    this.#host = host;
    this.#sessionId = principal.sessionId;
    this.#sessionEndsAt = principal.sessionExpiresAt;
    this.#tokenEndsAt = principal.tokenExpiresAt;
    this.#tokenIssuedAt = principal.tokenIssuedAt;
  }

  start(): void {
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#parts.wheel.cancel(this.#timer);
  }

  /** The client negotiated `auth_expiring`. A second call changes nothing. */
  announceExpiry(): void {
    if (this.#closesWithToken) return;
    this.#closesWithToken = true;
    this.#planAnnouncement();
    this.#arm();
  }

  renew(principal: Principal): void {
    this.#sessionEndsAt = principal.sessionExpiresAt;
    this.#tokenEndsAt = principal.tokenExpiresAt;
    this.#tokenIssuedAt = principal.tokenIssuedAt;
    if (this.#closesWithToken) this.#planAnnouncement();
    this.#arm();
  }

  /**
   * Asks the store for the session's expiry. That revokes a session that has expired, and the hub closes the socket.
   */
  readAgain(): void {
    this.#readOwed = true;
    if (this.#reading || this.#stopped) return;
    this.#readOwed = false;
    this.#reading = true;
    this.#parts.sessions
      .expireIfDue(this.#sessionId)
      .then((endsAt) => this.#read(endsAt))
      .catch((error: unknown) => {
        this.#parts.log.warn({ err: error, session_id: this.#sessionId }, "session's end could not be read");
        this.#reading = false;
        this.#readOwed = true;
        if (!this.#stopped) this.#parts.wheel.set(this.#timer, retryMs);
      });
  }

  due(): void {
    if (this.#host.suspended) {
      this.#parts.wheel.set(this.#timer, retryMs);
      return;
    }
    const now = this.#parts.clock.now();
    if (this.#closesWithToken && now >= this.#tokenEndsAt + graceMs) {
      this.#host.end("token_expired");
      return;
    }
    if (this.#announceAt !== null && now >= this.#announceAt) {
      this.#announceAt = null;
      const leftMs = Math.max(0, this.#tokenEndsAt - now);
      this.#host.send({ type: "auth_expiring", expires_in: Math.floor(leftMs / 1000) });
    }
    if (this.#readOwed || (this.#sessionEndsAt !== null && now >= this.#sessionEndsAt)) this.readAgain();
    else this.#arm();
  }

  #read(endsAt: number | null | undefined): void {
    this.#reading = false;
    if (this.#stopped) return;
    // Undefined: the session has ended. If somebody revoked it, that closed this socket already; if the log of another
    // node's revocation is still to come, its client reads `session_expired`.
    if (endsAt === undefined) this.#host.end("session_expired");
    else this.#sessionEndsAt = endsAt;
    if (this.#readOwed) this.readAgain();
    else this.#arm(retryMs);
  }

  /** Between 75 and 90 % of the token's life, so that sockets that connected together do not refresh together. */
  #planAnnouncement(): void {
    const life = Math.max(0, this.#tokenEndsAt - this.#tokenIssuedAt);
    this.#announceAt = this.#tokenIssuedAt + (life * randomInt(7500, 9001)) / 10_000;
  }

  /**
   * `soonestMs`: the store's clock may be behind ours. So an expiry that it does not see yet is not asked for again
   * at once.
   */
  #arm(soonestMs = 0): void {
    if (this.#stopped || this.#reading) return;
    let next = this.#sessionEndsAt ?? Number.POSITIVE_INFINITY;
    if (this.#announceAt !== null) next = Math.min(next, this.#announceAt);
    if (this.#closesWithToken) next = Math.min(next, this.#tokenEndsAt + graceMs);
    if (next === Number.POSITIVE_INFINITY) this.#parts.wheel.cancel(this.#timer);
    else this.#parts.wheel.set(this.#timer, clamp(next - this.#parts.clock.now(), soonestMs, lookAgainMs));
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
