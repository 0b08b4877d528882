import type { CloseName } from "../../protocol/close-codes.ts";
import { loginCommands } from "../../protocol/commands/login.ts";
import { limits } from "../../protocol/features.ts";
import { Auth, type ServerMessage } from "../../protocol/frames.ts";
import type { Authentication, Verdict } from "../auth/authentication.ts";
import type { Clock } from "../auth/clock/clock.ts";
import { AuthError } from "../auth/errors.ts";
import type { Peer, Principal } from "../auth/model.ts";
import { type Codec, CodecError, type Frame } from "../codec/codec.ts";
import { LoginMessages, type LoginParts, type LoginPhase } from "./login-messages.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import type { Effect, Input, State } from "./state-machine.ts";
import { compileValidator } from "./validator.ts";
import { authInvalid, isLonger } from "./wire-format.ts";

/** What the auth phase needs of its connection. */
export interface AuthHost {
  readonly state: State;
  readonly peer: Peer;
  readonly codec: Codec;
  /** The address's key for limits that unauthenticated sockets share (see `addressShare`). */
  readonly addressKey: string;
  /** Moves the state machine. The effect says what to do. */
  input(input: Input): Effect;
  /** Answers in whatever phase the socket is by then. Does nothing after the close. */
  reply(message: ServerMessage): void;
  /** Closes the socket, whatever live state it is in. */
  end(close: CloseName): boolean;
  /** Closes after the state machine went to `closing`. `last` is sent before the close frame. */
  finish(close: CloseName, last?: Frame): void;
  /** A login flow was started: from now on the longer deadline counts. */
  allowLogin(): void;
  /** The token is good: enter the hub, check for the last time, send `auth_ok`. `lastId` is the highest id so far. */
  authenticated(principal: Principal, lastId: number, held: readonly unknown[]): void;
}

export interface AuthParts extends LoginParts {
  readonly authentication: Authentication;
  readonly clock: Clock;
  readonly log: ConnectionLog;
  readonly observer: ConnectionObserver;
  /** Milliseconds of event-loop time for the upgrade and the close: what a socket costs that never authenticates. */
  readonly openingMs: number;
}

const authProblem = compileValidator(Auth);
const nothing: readonly unknown[] = [];

/** One socket before `auth_ok`. Nothing else makes an authenticated session. */
export class AuthPhase implements LoginPhase {
  readonly since: number;
  /** The deadline of a login, monotonic ms; 0 until one was started. The connection's own. */
  loginEndsAt = 0;
  readonly #parts: AuthParts;
  readonly #host: AuthHost;
  #frames = 0;
  #held: unknown[] | undefined;
  #logins: LoginMessages | undefined;

  /** `since`: when the socket opened, monotonic ms. */
  constructor(parts: AuthParts, host: AuthHost, since: number) {
    this.#parts = parts;
    this.#host = host;
    this.since = since;
  }

  /** The answer to a login message is still to come. */
  get busy(): boolean {
    return this.#logins?.busy === true;
  }

  /** The socket closed before it was authenticated. */
  gone(): void {
    this.#parts.loopBudget.charge(this.#host.addressKey, this.#parts.openingMs);
    this.#logins?.gone();
  }

  /** A ping, or a pong that answers no ping of ours. */
  control(): void {
    this.#count();
  }

  /** Hot path: the address pays for the time only if the frame did not authenticate the socket. */
  frame(frame: Frame): void {
    const { clock, loopBudget } = this.#parts;
    const began = clock.monotonic();
    this.#take(frame);
    if (this.#host.state !== "ready") loopBudget.charge(this.#host.addressKey, clock.monotonic() - began);
  }

  #take(frame: Frame): void {
    if (!this.#count()) return;
    if (isLonger(frame, limits.frameBeforeAuth)) this.#drop("message_too_big");
    else {
      const message = this.#decode(frame);
      if (message !== unreadable) this.#message(message);
    }
  }

  /** False if the frame is one too many. The socket is closed then. */
  #count(): boolean {
    this.#frames += 1;
    if (this.#frames <= limits.messagesBeforeAuth) return true;
    this.#drop("rate_limited");
    return false;
  }

  #decode(frame: Frame): unknown {
    try {
      return this.#host.codec.decode(frame);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.#drop(error.close);
      return unreadable;
    }
  }

  #message(message: unknown): void {
    const type = typeOf(message);
    if (type === undefined) this.#obey("malformed", message, "expected an object with a type");
    else if (type === "auth") this.#auth(message);
    else if (Object.hasOwn(loginCommands, type)) this.#obey("login", message);
    else this.#obey("foreign", message, "expected auth or a login message");
  }

  /** While one token is being checked, a second `auth` is refused, whatever its shape. */
  #auth(message: unknown): void {
    const problem = this.#host.state === "authenticating" ? undefined : authProblem(message);
    if (problem === undefined) this.#obey("auth", message, "a token is being checked already");
    else this.#obey("malformed", message, problem);
  }

  #obey(input: Input, message: unknown, problem = ""): void {
    switch (this.#host.input(input)) {
      case "check":
        this.#check((message as Auth).access_token);
        break;
      case "answer":
        this.#logins ??= new LoginMessages(this.#parts, this.#host, this);
        this.#logins.take(message as { readonly type: string });
        break;
      case "buffer":
        this.#held ??= [];
        this.#held.push(message);
        break;
      case "refuse_malformed":
        this.#refuse("malformed_auth", problem);
        break;
      case "refuse_foreign":
        this.#refuse("unexpected_message", problem);
        break;
    }
  }

  /** The access token of a finished login is checked like every other token. */
  granted(token: string): void {
    if (this.#host.input("granted") === "check") this.#check(token);
  }

  /** Synchronous for every token that the revocation view can judge from memory. */
  #check(token: string): void {
    try {
      const verdict = this.#parts.authentication.authenticate(token, this.#host.peer);
      if ("ok" in verdict) this.#decide(verdict);
      else verdict.then((late) => this.#decide(late)).catch((error: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  #decide(verdict: Verdict): void {
    if (this.#host.state !== "authenticating") return;
    if (verdict.ok) {
      this.#logins?.leave();
      this.#host.authenticated(verdict.principal, this.#logins?.lastId ?? 0, this.#held ?? nothing);
      return;
    }
    this.#parts.observer.authRefused(verdict.close, verdict.reason, this.#host.peer);
    if (this.#host.input("end") !== "close") return;
    this.#host.finish(verdict.close, authInvalid(this.#host.codec, verdict.message));
  }

  /** Says nothing about the token: real clients give up for good after `auth_invalid`. */
  #failed(error: unknown): void {
    const known = error instanceof AuthError;
    if (!known) this.#parts.log.error({ err: error }, "authentication failed");
    if (this.#host.state === "authenticating") this.#drop(known ? "unavailable" : "internal_error");
    else this.#host.end("internal_error");
  }

  #refuse(close: CloseName, problem: string): void {
    this.#parts.observer.authRefused(close, close, this.#host.peer);
    const message = `Auth message incorrectly formatted: ${problem}`;
    this.#host.finish(close, authInvalid(this.#host.codec, message));
  }

  #drop(close: CloseName): void {
    this.#parts.observer.authRefused(close, close, this.#host.peer);
    this.#host.end(close);
  }
}

const unreadable: unique symbol = Symbol("unreadable");

function typeOf(message: unknown): string | undefined {
  if (typeof message !== "object" || message === null || Array.isArray(message)) return undefined;
  const { type } = message as { type?: unknown };
  return typeof type === "string" ? type : undefined;
}
