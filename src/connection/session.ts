import type { CloseName } from "../../protocol/close-codes.ts";
import { type Feature, features } from "../../protocol/features.ts";
import type { ErrorBody, ServerMessage } from "../../protocol/frames.ts";
import type { Peer, Principal, RevocationCause } from "../auth/model.ts";
import type { Codec } from "../codec/codec.ts";
import { Disposables } from "./disposables.ts";
import { Expiry, type ExpiryHost, type ExpiryParts } from "./expiry.ts";
import type { HubMember } from "./hub.ts";
import type { SharedFrames } from "./shared-frames.ts";
import { StepUp, type StepUpParts } from "./step-up.ts";
import type { UserEvents } from "./user-events.ts";

/** How a command ended. */
export type CommandOutcome =
  | { readonly success: true; readonly result: unknown }
  | { readonly success: false; readonly error: ErrorBody };

/**
 * What became of frames that may be lost. `sent`: the socket has them. `blocked`: the client has not read what was sent
 * before, and nothing was taken. `suspended`: nothing may be sent, and nothing was taken. `gone`: the socket is closing.
 */
export type SharedOutcome = "sent" | "blocked" | "suspended" | "gone";

/** Sends what may be lost, and so is not queued for the socket. */
export interface SessionOutlet {
  /** After `blocked` or `suspended`: frames may be sent again. */
  resume(): void;
  closed(): void;
}

/**
 * An authenticated socket as commands see it. Only the auth phase makes one. So a command needs no check of the
 * token. It asks for the user's present rights (`users.current`).
 */
export interface SocketSession {
  /** `auth/refresh` renews it. User and session stay the same. */
  readonly principal: Principal;
  readonly peer: Peer;
  /** Rises with every authenticated connection of this node. */
  readonly number: number;
  readonly features: ReadonlySet<Feature>;
  /** False once the socket is closing. A command that has not begun must not begin. */
  readonly live: boolean;
  /**
   * False while the socket is suspended. A command that has not begun must wait. Asks whether the revocation view is
   * trusted.
   */
  readonly mayRun: boolean;
  /** False while the client has not read what was sent to it. */
  readonly hasRoom: boolean;
  /** Resolves once the client has read what was sent to it, or is gone. */
  untilRoom(): Promise<void>;
  /** Disposed when the socket closes. */
  readonly disposables: Disposables;
  /** Queues a message. Does nothing after the close. */
  send(message: ServerMessage): void;
  /** Undefined after the close. */
  readonly codec: Codec | undefined;
  /** Sends behind everything that was queued before. Never queues. */
  sendShared(frames: SharedFrames): SharedOutcome;
  /** From now on the outlet is told when it may go on. A session has one. After the close it is told so at once. */
  attach(outlet: SessionOutlet): void;
  /** Adds the known ones of `names`. Ignores the others. */
  negotiate(names: readonly string[]): void;
  /** Sends user events of `type` (undefined: all) on `id` until the returned function is called. */
  watchUsers(id: number, type: string | undefined): () => void;
  /** The commands that wait until the person has logged in again. */
  readonly stepUp: StepUp;
  /** Takes the principal of a newer token of the same session. */
  renew(principal: Principal): void;
  /**
   * For a command that may end its own socket. If a revocation with one of `causes` closes the socket, `outcome` is
   * sent as the answer to `id` before the close: the revocation is the commit that the command waits for. Returns a
   * function that withdraws it.
   */
  answerBeforeCut(id: number, outcome: CommandOutcome, causes: readonly RevocationCause[]): () => void;
}

/** What a session needs of its connection. */
export interface SessionHost extends ExpiryHost {
  readonly live: boolean;
  readonly mayRun: boolean;
  /** False while the client does not read what was sent. `LiveSession.drained` follows. */
  readonly hasRoom: boolean;
  readonly codec: Codec;
  sendShared(frames: SharedFrames): SharedOutcome;
  coalesce(): void;
  /** Gives what waits to the socket, without waiting for room. */
  pushAll(): void;
}

export interface SessionParts extends ExpiryParts {
  readonly stepUps: StepUpParts;
  readonly events: UserEvents;
  /** Another number for every authenticated connection. */
  readonly nextNumber: () => number;
}

interface LastAnswer {
  readonly id: number;
  readonly outcome: CommandOutcome;
  readonly causes: readonly CloseName[];
}

const noFeatures: ReadonlySet<Feature> = new Set();

/** Most sockets never use more than every socket needs. Everything else is created at its first use. */
export class LiveSession implements SocketSession, HubMember {
  readonly peer: Peer;
  readonly number: number;
  readonly since: number;
  readonly #parts: SessionParts;
  /** Undefined after the close, like the expiry: a reference to the session keeps nothing of the socket alive. */
  #host: SessionHost | undefined;
  #principal: Principal;
  #features: ReadonlySet<Feature> = noFeatures;
  #expiry: Expiry | undefined;
  #disposables: Disposables | undefined;
  #lastAnswers: Set<LastAnswer> | undefined;
  #waitForRoom: (() => void)[] | undefined;
  #outlet: SessionOutlet | undefined;
  #stepUp: StepUp | undefined;

  constructor(parts: SessionParts, host: SessionHost, principal: Principal, peer: Peer) {
    this.peer = peer;
    this.number = parts.nextNumber();
    this.since = parts.clock.now();
    this.#parts = parts;
    this.#host = host;
    this.#principal = principal;
  }

  get principal(): Principal {
    return this.#principal;
  }

  get features(): ReadonlySet<Feature> {
    return this.#features;
  }

  get live(): boolean {
    return this.#host?.live === true;
  }

  get mayRun(): boolean {
    return this.#host?.mayRun === true;
  }

  get hasRoom(): boolean {
    return this.#host?.hasRoom === true;
  }

  untilRoom(): Promise<void> {
    if (this.#host === undefined || this.#host.hasRoom) return Promise.resolve();
    this.#waitForRoom ??= [];
    const waiting = this.#waitForRoom;
    return new Promise((resolve) => waiting.push(resolve));
  }

  /** There is room again, or the socket is closed. */
  drained(): void {
    const waiting = this.#waitForRoom;
    this.#waitForRoom = undefined;
    for (const goOn of waiting ?? []) goOn();
    this.#outlet?.resume();
  }

  suspended(): void {
    this.#stepUp?.suspended();
  }

  /** The socket is not suspended any more. */
  resumed(): void {
    this.#outlet?.resume();
  }

  get codec(): Codec | undefined {
    return this.#host?.codec;
  }

  sendShared(frames: SharedFrames): SharedOutcome {
    return this.#host?.sendShared(frames) ?? "gone";
  }

  attach(outlet: SessionOutlet): void {
    if (this.#host === undefined) outlet.closed();
    else this.#outlet = outlet;
  }

  get disposables(): Disposables {
    if (this.#disposables === undefined) {
      this.#disposables = new Disposables(this.#parts.log);
      if (this.#host === undefined) this.#disposables.close();
    }
    return this.#disposables;
  }

  /** Call it at least every `withinMs`. A session that expires later than that has no timer yet. */
  watchEnd(withinMs: number): void {
    const { sessionExpiresAt } = this.#principal;
    if (this.#expiry !== undefined || sessionExpiresAt === null) return;
    if (sessionExpiresAt - this.#parts.clock.now() <= withinMs) this.#watched()?.start();
  }

  send(message: ServerMessage): void {
    this.#host?.send(message);
  }

  negotiate(names: readonly string[]): void {
    const known = names.filter((name): name is Feature => Object.hasOwn(features, name));
    this.#features = new Set([...this.#features, ...known]);
    if (this.#features.has("coalesce_messages")) this.#host?.coalesce();
    if (this.#features.has("auth_expiring")) this.#watched()?.announceExpiry();
  }

  watchUsers(id: number, type: string | undefined): () => void {
    return this.#parts.events.subscribe(this, id, type);
  }

  get stepUp(): StepUp {
    this.#stepUp ??= new StepUp(this.#parts.stepUps, this);
    return this.#stepUp;
  }

  renew(principal: Principal): void {
    if (principal.sessionId !== this.#principal.sessionId || principal.userId !== this.#principal.userId)
      throw new TypeError("a socket keeps its session");
    this.#principal = principal;
    this.#expiry?.renew(principal);
  }

  answerBeforeCut(id: number, outcome: CommandOutcome, causes: readonly RevocationCause[]): () => void {
    const answer: LastAnswer = { id, outcome, causes };
    this.#lastAnswers ??= new Set();
    this.#lastAnswers.add(answer);
    return () => this.#lastAnswers?.delete(answer);
  }

  cut(close: CloseName): boolean {
    for (const { id, outcome, causes } of this.#lastAnswers ?? []) {
      if (!causes.includes(close)) continue;
      this.#host?.send({ id, type: "result", ...outcome });
      this.#host?.pushAll();
    }
    return this.#host?.end(close) === true;
  }

  endChanged(): void {
    this.#watched()?.readAgain();
  }

  close(): void {
    this.#expiry?.stop();
    this.#stepUp?.close();
    this.#lastAnswers = undefined;
    this.#disposables?.close();
    this.#expiry = undefined;
    this.#host = undefined;
    const outlet = this.#outlet;
    this.#outlet = undefined;
    this.drained();
    outlet?.closed();
  }

  /** Undefined after the close. */
  #watched(): Expiry | undefined {
    if (this.#host !== undefined) this.#expiry ??= new Expiry(this.#parts, this.#host, this.#principal);
    return this.#expiry;
  }
}
