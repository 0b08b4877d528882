import { type CloseName, closeCodes } from "../../protocol/close-codes.ts";
import { limits } from "../../protocol/features.ts";
import type { ServerMessage } from "../../protocol/frames.ts";
import type { Caller } from "../auth/authentication.ts";
import type { Peer, Principal } from "../auth/model.ts";
import type { Codec, Frame } from "../codec/codec.ts";
import { type AuthHost, AuthPhase } from "./auth-phase.ts";
import { type CommandHost, CommandPhase } from "./command-phase.ts";
import { type ConnectionParts, fragmentMs } from "./connection-parts.ts";
import { ConnectionTimer } from "./connection-timer.ts";
import { Outbox, type OutboxOwner } from "./outbox.ts";
import { LiveSession, type SessionHost, type SharedOutcome } from "./session.ts";
import type { SharedFrames } from "./shared-frames.ts";
import type { Socket, SocketHandler } from "./socket.ts";
import { type Effect, type Input, type State, transition } from "./state-machine.ts";
import type { SuspensionMember } from "./suspension.ts";
import { SuspensionBuffer, type SuspensionBufferHost, type Waiting } from "./suspension-buffer.ts";
import { authInvalid, type WireFormat } from "./wire-format.ts";

/**
 * One client's life on one socket. Composes the phases; owns the state, the deadline and the close. Most sockets are
 * idle, so what only some need is created at its first use.
 */
export class Connection
  extends ConnectionTimer
  implements
    SocketHandler,
    AuthHost,
    CommandHost,
    SessionHost,
    OutboxOwner,
    SuspensionBufferHost,
    SuspensionMember
{
  readonly peer: Peer;
  readonly addressKey: string;
  readonly #parts: ConnectionParts;
  readonly #socket: Socket;
  readonly #wire: WireFormat;
  #state: State = "open";
  #auth: AuthPhase | undefined;
  #session: LiveSession | undefined;
  #commands: CommandPhase | undefined;
  /** Undefined until something has to wait. Before that, frames go straight to the socket. */
  #outbox: Outbox | undefined;
  /** Defined while the socket is suspended. */
  #buffer: SuspensionBuffer | undefined;
  #reviewGeneration = 0;
  #closedWith: CloseName | undefined;
  #authenticated = false;

  constructor(parts: ConnectionParts, socket: Socket, wire: WireFormat, peer: Peer, addressKey: string) {
    super();
    this.#parts = parts;
    this.#socket = socket;
    this.#wire = wire;
    this.peer = peer;
    this.addressKey = addressKey;
    const now = parts.clock.monotonic();
    this.#auth = new AuthPhase(parts, this, now);
    socket.limitMessages(limits.frameBeforeAuth);
    parts.registry.enter(this, addressKey);
    this.arm(parts.times.authDeadlineMs, now);
    parts.observer.opened(wire.codec.name, peer);
    socket.send(wire.authRequired);
  }

  get state(): State {
    return this.#state;
  }

  get codec(): Codec {
    return this.#wire.codec;
  }

  get live(): boolean {
    return this.#state !== "closing" && this.#state !== "closed";
  }

  get caller(): Caller | undefined {
    return this.#state === "ready" ? this.#session : undefined;
  }

  get reviewGeneration(): number {
    return this.#reviewGeneration;
  }

  get suspended(): boolean {
    return this.#buffer !== undefined;
  }

  get mayRun(): boolean {
    return !this.#parts.suspension.checksInput || this.#passes();
  }

  get maySend(): boolean {
    return !this.#parts.suspension.checksOutput || this.#passes();
  }

  get hasRoom(): boolean {
    return this.#state === "ready" && this.#outbox?.hasRoom !== false;
  }

  /**
   * Answers are still to come, or the client has not read them yet. False for a suspended socket, which answers
   * nothing.
   */
  get busy(): boolean {
    if (this.#buffer !== undefined) return false;
    return this.#commands?.busy === true || this.#auth?.busy === true || this.#outbox?.hasRoom === false;
  }

  get tellsSuspension(): boolean {
    return this.#session?.features.has("auth_suspended") === true;
  }

  message(frame: Frame): void {
    this.heard();
    try {
      if (this.#state === "ready") this.#take(frame);
      else if (this.live) this.#auth?.frame(frame);
    } catch (error) {
      this.#parts.log.error({ err: error }, "message could not be handled");
      this.end("internal_error");
    }
  }

  drained(): void {
    this.#outbox?.drained();
    if (this.hasRoom) this.#session?.drained();
  }

  ping(): void {
    this.heard();
    this.#countControl();
  }

  /** A pong that answers no ping of ours counts like a message. */
  pong(): void {
    if (!this.answersPing()) this.#countControl();
  }

  fragments(count: number): void {
    if (!this.#parts.loopBudget.take(this.addressKey, "message", count * fragmentMs))
      this.end("rate_limited");
  }

  closed(code: number): void {
    if (this.input("lost") === "release") this.#release();
    this.#parts.registry.leave(this, this.addressKey, this.#authenticated);
    this.#parts.observer.closed(this.#closedWith, code, this.#authenticated);
  }

  protected override get timing(): ConnectionParts {
    return this.#parts;
  }

  protected override sendPing(): void {
    this.#socket.ping();
  }

  protected override heartbeatTimedOut(): void {
    this.end("heartbeat_timeout");
  }

  protected override deadline(now: number): void {
    const loginEndsAt = this.#auth?.loginEndsAt ?? 0;
    if (this.#state === "ready") {
      this.beat(now);
      this.#session?.watchEnd(this.#parts.times.heartbeatMs);
    } else if (now < loginEndsAt) this.beat(now, loginEndsAt);
    else if (this.end("auth_timeout"))
      this.#parts.observer.authRefused("auth_timeout", "auth_timeout", this.peer);
  }

  input(input: Input): Effect {
    const { to, effect } = transition(this.#state, input);
    this.#state = to;
    return effect;
  }

  reply(message: ServerMessage): void {
    if (this.#state === "ready") this.#send(this.#wire.codec.encode(message));
    else if (this.live) this.#socket.send(this.#wire.codec.encode(message));
  }

  send(message: ServerMessage): void {
    this.reply(message);
  }

  sendShared(frames: SharedFrames): SharedOutcome {
    if (this.#state !== "ready") return "gone";
    if (!this.maySend) return "suspended";
    if (this.#outbox !== undefined) return this.#outbox.sendShared(frames) ? "sent" : "blocked";
    if (this.#socket.sendShared(frames) === "queued") this.#queue().block();
    return "sent";
  }

  sendBypassingQueue(message: ServerMessage): void {
    if (this.#state !== "ready") return;
    const frame = this.#wire.codec.encode(message);
    if (this.#outbox === undefined) this.#hand(frame);
    else this.#outbox.sendBypassingQueue(frame);
  }

  suspend(): void {
    const { caller } = this;
    if (caller === undefined || this.#buffer !== undefined) return;
    if (this.#parts.suspension.policy !== "serve_until_exp") {
      this.#buffer = new SuspensionBuffer(this.#parts, this);
      this.#session?.suspended();
    } else if (this.#parts.clock.now() >= caller.principal.tokenExpiresAt) this.end("token_expired");
  }

  /**
   * In this order: tell the client, send what waited, read what came in. Each of them may find that the view is not
   * trusted again.
   */
  resume(reviewGeneration: number): void {
    if (this.#state !== "ready") return;
    this.#reviewGeneration = reviewGeneration;
    const buffer = this.#endHold();
    if (buffer?.told === true) this.sendBypassingQueue({ type: "auth_resumed" });
    this.#outbox?.resume();
    this.#commands?.runOn();
    for (const waiting of buffer?.waiting ?? []) {
      if (this.mayRun) this.#takeWaiting(waiting);
      else this.#buffer?.keep(waiting);
    }
    if (!this.mayRun) return;
    this.#commands?.raiseLastId();
    this.#session?.resumed();
  }

  coalesce(): void {
    if (this.#state === "ready") this.#queue().coalesce();
  }

  overflowed(): void {
    this.end(this.#buffer === undefined ? "slow_consumer" : "unavailable");
  }

  pushAll(): void {
    this.#outbox?.pushAll();
  }

  end(close: CloseName): boolean {
    if (this.input("end") !== "close") return false;
    this.finish(close);
    return true;
  }

  finish(close: CloseName, last?: Frame): void {
    this.#closedWith = close;
    this.#release();
    if (last !== undefined) this.#socket.send(last);
    const { number, text } = closeCodes[close];
    this.#socket.close(number, text);
  }

  /** A person reads and types meanwhile. Pings keep proxies from closing a silent connection. */
  allowLogin(): void {
    const auth = this.#auth;
    if (auth === undefined || auth.loginEndsAt > 0) return;
    const now = this.#parts.clock.monotonic();
    auth.loginEndsAt = auth.since + this.#parts.times.loginDeadlineMs;
    this.arm(Math.max(0, Math.min(this.#parts.times.heartbeatMs, auth.loginEndsAt - now)), now);
  }

  /**
   * The socket enters the hub, then the last check runs, then `auth_ok` is sent. The check sees a revocation that
   * commits before `add`. One that commits after it finds the socket in the hub. So none is missed. The review
   * generation is read before the check, which asks whether the view is trusted: if trust is lost after that, the
   * generation changes.
   */
  authenticated(principal: Principal, lastId: number, held: readonly unknown[]): void {
    const session = new LiveSession(this.#parts, this, principal, this.peer);
    this.#session = session;
    this.#reviewGeneration = this.#parts.suspension.reviewGeneration();
    this.#parts.hub.add(session);
    const crowded = this.#parts.hub.isCrowded(session);
    const over = crowded ? "too_many_sockets" : this.#parts.authentication.recheck(principal);
    if (over !== undefined) this.#tooLate(over);
    else if (this.input("admitted") === "welcome") {
      this.#welcome(session);
      if (lastId > 0) this.#commandsAfter(lastId);
      for (const message of held) this.#commandsAfter(0)?.take(Array.isArray(message) ? message : [message]);
    }
  }

  #welcome(session: LiveSession): void {
    const parts = this.#parts;
    const now = parts.clock.monotonic();
    const elapsedMs = now - (this.#auth?.since ?? now);
    this.#auth = undefined;
    this.#authenticated = true;
    this.#socket.limitMessages(limits.frame);
    this.#socket.send(this.#wire.authOk);
    parts.presence.entered(session);
    parts.registry.leaveUnauthenticated(this.addressKey);
    this.startHeartbeat(now);
    session.watchEnd(parts.times.heartbeatMs);
    parts.suspension.watch();
    parts.observer.authenticated(session.principal, this.peer, elapsedMs);
  }

  /**
   * Undefined unless the socket is ready. `lastId`, the highest id of the login messages, counts when the command
   * phase is created.
   */
  #commandsAfter(lastId: number): CommandPhase | undefined {
    if (this.#state !== "ready" || this.#session === undefined) return undefined;
    this.#commands ??= new CommandPhase(this.#parts, this, this.#session, lastId);
    return this.#commands;
  }

  #queue(): Outbox {
    this.#outbox ??= new Outbox(this.#socket, this.#wire.codec, this.#parts, this);
    return this.#outbox;
  }

  #send(frame: Frame): void {
    if (this.#outbox !== undefined) this.#outbox.send(frame);
    else if (this.maySend) this.#hand(frame);
    else if (this.#state === "ready") this.#queue().send(frame);
  }

  #hand(frame: Frame): void {
    if (this.#socket.send(frame) === "queued") this.#queue().block();
  }

  #takeWaiting({ kept, pinged }: Waiting): void {
    this.#commands?.raiseLastId(pinged);
    this.message(kept);
  }

  #countControl(): void {
    if (this.#state === "ready") this.#commandsAfter(0)?.control();
    else if (this.live) this.#auth?.control();
  }

  #endHold(): SuspensionBuffer | undefined {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    buffer?.end();
    return buffer;
  }

  #take(frame: Frame): void {
    const commands = this.#commandsAfter(0);
    if (commands === undefined) return;
    if (this.mayRun) commands.frame(frame);
    else this.#buffer?.take(frame, commands);
  }

  /** Hot path. False: nothing may be done for this socket. It is suspended, or the policy has closed it. */
  #passes(): boolean {
    if (this.#reviewGeneration === this.#parts.suspension.reviewGeneration()) return true;
    this.suspend();
    return this.#state === "ready" && this.#buffer === undefined;
  }

  #tooLate(over: CloseName): void {
    this.#parts.observer.authRefused(over, over, this.peer);
    if (this.input("end") !== "close") return;
    const final = closeCodes[over].reconnect === "never";
    this.finish(over, final ? authInvalid(this.codec, closeCodes.auth_invalid.text) : undefined);
  }

  /** Releases everything that was acquired. Runs once: the state machine gives `close` or `release` a single time. */
  #release(): void {
    this.#parts.wheel.cancel(this);
    this.#auth?.gone();
    this.#endHold();
    this.#outbox?.stop();
    if (this.#session !== undefined) {
      this.#parts.hub.remove(this.#session);
      if (this.#authenticated) this.#parts.presence.left(this.#session);
      this.#session.close();
    }
    this.#session = undefined;
    this.#commands = undefined;
    this.#outbox = undefined;
    this.#auth = undefined;
  }
}
