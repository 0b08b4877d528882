import { closeCodes } from "../../protocol/close-codes.ts";
import { PROTOCOL_VERSION } from "../../protocol/features.ts";
import type { StepUpRequired } from "../../protocol/frames.ts";
import type { Codec, Frame } from "../codec/codec.ts";
import { Deadline } from "./deadline.ts";
import { type CloseInfo, errorOfClose, GatewayError, invokeCallback } from "./errors.ts";
import { type HttpAnswer, type OpenFailureEvent, openFailure, refusedUpgrade } from "./open-failure.ts";

/** The part of the WebSocket API that the SDK uses. Browsers, Node 22 and the `ws` package all have it. */
export interface WebSocketLike {
  binaryType: string;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  /** Only in the `ws` package: destroys the connection without waiting for the peer's close. */
  terminate?(): void;
  /** Only in the `ws` package: the answer to the upgrade, on the connection. */
  on?(type: "upgrade", listener: (answer: { readonly socket: unknown }) => void): unknown;
  /** Only in the `ws` package: the server answered with HTTP and did not open a socket. */
  on?(type: "unexpected-response", listener: (request: unknown, answer: HttpAnswer) => void): unknown;
  addEventListener(type: "open", listener: () => void): void;
  addEventListener(type: "error", listener: (event: OpenFailureEvent) => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
}
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => WebSocketLike;

type Message = Readonly<Record<string, unknown>>;
interface Waiting {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  deadline: Deadline;
  readonly timeoutMs: number;
}

/** The part of Node's TLS socket that is used. */
interface TlsConnection {
  getProtocol(): string | null;
  exportKeyingMaterial(length: number, label: string): Uint8Array;
}

/** How long a peer may take to answer a close, ms. Then the connection is destroyed, if the runtime can do that. */
const closeTimeoutMs = 2000;
/** RFC 6455's code for a connection that ended without a close frame. */
const connectionGone = 1006;

export interface MessageSocketOptions {
  readonly url: string;
  readonly codec: Codec;
  readonly WebSocket: WebSocketConstructor;
  /** Time until the socket must be open, ms. */
  readonly timeoutMs: number;
}

/**
 * One socket. It numbers requests, matches answers, and keeps a deadline for each request. It knows nothing of tokens.
 * All its promises settle at the latest with the close; `close` settles them at once.
 */
export class MessageSocket {
  /** Rejects with `cannot_connect` if the socket does not open in time. */
  readonly opened: Promise<void>;
  /** Resolves with `auth_ok`. Rejects with the error of the close. */
  readonly authenticated: Promise<void>;
  readonly closed: Promise<CloseInfo>;
  /** Called if the server announces that the access token ends soon. */
  onExpiring: () => void = () => {};
  /** Called if a request waits until the person has logged in again. */
  onStepUp: (required: StepUpRequired) => void = () => {};
  /** Why the step-up was given up on this side: the cause of `step_up_failed`. */
  stepUpFault: unknown;
  /** Called if `suspended` has changed. */
  onSuspension: () => void = () => {};
  readonly #socket: WebSocketLike;
  readonly #codec: Codec;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<number, (event: unknown) => void>();
  readonly #openTimer: ReturnType<typeof setTimeout>;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  /** True if something arrived since the last ping. */
  #receivedSincePing = true;
  #suspended = false;
  #settle: {
    readonly opened: Promised<void>;
    readonly authenticated: Promised<void>;
    readonly closed: Promised<CloseInfo>;
  };
  #lastId = 0;
  /** Why the socket does not open, if the runtime tells. */
  #failure: GatewayError | undefined;
  #end: CloseInfo | undefined;
  /** The connection below, if the runtime shows it. */
  #connection: Partial<TlsConnection> | undefined;

  /** Throws what the WebSocket constructor throws for an invalid URL. */
  constructor({ url, codec, WebSocket, timeoutMs }: MessageSocketOptions) {
    const socket = new WebSocket(url, [codec.subprotocol]);
    this.#socket = socket;
    this.#codec = codec;
    this.#settle = { opened: withResolvers(), authenticated: withResolvers(), closed: withResolvers() };
    this.opened = this.#settle.opened.promise;
    this.authenticated = this.#settle.authenticated.promise;
    this.closed = this.#settle.closed.promise;
    // A caller need not await each of them.
    this.opened.catch(() => {});
    this.authenticated.catch(() => {});
    this.#openTimer = setTimeout(() => this.#tooLate(timeoutMs), timeoutMs);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("error", (event) => {
      this.#failure ??= openFailure(event);
    });
    socket.on?.("upgrade", (answer) => {
      this.#connection = answer.socket as Partial<TlsConnection>;
    });
    socket.on?.("unexpected-response", (_request, answer) => void this.#refused(answer));
    socket.addEventListener("message", (event) => this.#receive(event.data));
    socket.addEventListener("close", ({ code, reason }) => {
      clearTimeout(this.#closeTimer);
      this.#finish({ code, reason });
    });
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  /**
   * Keying material of this connection's TLS (RFC 5705, without a context). Undefined where the runtime does not show it,
   * as in browsers, and without TLS 1.3.
   */
  exportKey(label: string, bytes: number): Uint8Array | undefined {
    const connection = this.#connection;
    if (connection?.getProtocol?.() !== "TLSv1.3") return undefined;
    return connection.exportKeyingMaterial?.(bytes, label);
  }

  /** True while the server has paused this socket. Deadlines of requests are paused too. */
  get suspended(): boolean {
    return this.#suspended;
  }

  /**
   * Sends a ping every `everyMs` from now on; call it after `auth_ok`. If nothing arrived since the last ping, the
   * connection counts as lost (1006).
   */
  keepAlive(everyMs: number): void {
    if (this.#heartbeat !== undefined || this.#end !== undefined) return;
    this.#receivedSincePing = true;
    this.#heartbeat = setInterval(() => this.#beat(), everyMs);
  }

  /** Sends a message without an id (`auth`). */
  send(message: Message): void {
    if (this.#end) throw connectionLost(this.#end);
    this.#socket.send(this.#codec.encode(message));
  }

  /** Sends with the next id and settles with the result. `onEvent` gets the events of that id until `forget`. */
  request(
    message: Message,
    timeoutMs: number,
    onEvent?: (event: unknown) => void,
  ): { readonly id: number; readonly result: Promise<unknown> } {
    this.#lastId += 1;
    const id = this.#lastId;
    if (onEvent) this.#listeners.set(id, onEvent);
    const result = new Promise<unknown>((resolve, reject) => {
      const deadline = this.#deadlineOf(id, timeoutMs, String(message.type));
      this.#waiting.set(id, { resolve, reject, deadline, timeoutMs });
      if (!this.#suspended) deadline.start();
      try {
        this.send({ id, ...message });
      } catch (error) {
        this.#reject(id, error);
      }
    });
    return { id, result };
  }

  forget(id: number): void {
    this.#listeners.delete(id);
  }

  /**
   * Closes with 1000. Pending requests are rejected now and nothing more is delivered; the closing handshake continues
   * in the background. `end` is the reason that this side reports.
   */
  close(end: CloseInfo = { code: closeCodes.normal.number, reason: "" }): void {
    if (this.#end !== undefined) return;
    this.#finish(end);
    if (this.#socket.terminate)
      this.#closeTimer = setTimeout(() => this.#socket.terminate?.(), closeTimeoutMs);
    this.#socket.close(closeCodes.normal.number);
  }

  /** The server's first message, which says what it speaks. Nothing is sent before it. */
  #greeted({ gatehouse }: Message): void {
    const version = (gatehouse as { protocol?: unknown } | undefined)?.protocol;
    if (typeof version === "number" && version <= PROTOCOL_VERSION) {
      clearTimeout(this.#openTimer);
      this.#settle.opened.resolve();
      return;
    }
    const spoken = version === undefined ? "none" : `version ${String(version)}`;
    const reason = `The server speaks ${spoken} of Gatehouse's protocol, and this client version ${PROTOCOL_VERSION}`;
    this.#failure = new GatewayError("refused", reason);
    this.close({ code: closeCodes.protocol_error.number, reason });
  }

  /** With a listener for this event the `ws` package leaves the socket to us. */
  async #refused(answer: HttpAnswer): Promise<void> {
    this.#failure = await refusedUpgrade(answer);
    this.close({ code: connectionGone, reason: "" });
  }

  #tooLate(timeoutMs: number): void {
    const text = `The socket did not open within ${timeoutMs} ms`;
    this.#settle.opened.reject(new GatewayError("cannot_connect", text));
    this.close();
  }

  #receive(data: unknown): void {
    if (this.#end !== undefined) return;
    this.#receivedSincePing = true;
    let decoded: unknown;
    try {
      decoded = this.#codec.decode(asFrame(data));
    } catch {
      const { number: code } = closeCodes.invalid_payload;
      this.close({ code, reason: "Server message could not be decoded" });
      return;
    }
    for (const message of Array.isArray(decoded) ? decoded : [decoded]) {
      if (this.#end === undefined && typeof message === "object" && message !== null) this.#dispatch(message);
    }
  }

  #dispatch(message: Message): void {
    const { id, type } = message;
    if (type === "auth_required") this.#greeted(message);
    else if (type === "auth_ok") this.#settle.authenticated.resolve();
    else if (type === "auth_expiring") invokeCallback(this.onExpiring);
    else if (type === "auth_suspended" || type === "auth_resumed") this.#suspend(type === "auth_suspended");
    else if (typeof id !== "number") return;
    else if (type === "step_up_required") this.#waitForStepUp(id, message as StepUpRequired);
    else if (type === "event") invokeCallback(this.#listeners.get(id) ?? (() => {}), message.event);
    else if (type === "pong") this.#resolve(id, null);
    else if (message.success === true) this.#resolve(id, message.result);
    else this.#reject(id, errorOf(message.error, this.stepUpFault));
  }

  /** A person reads and types meanwhile. The server gives the request up before this deadline. */
  #waitForStepUp(id: number, required: StepUpRequired): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    waiting.deadline.stop();
    const ms = required.expires_in * 1000 + waiting.timeoutMs;
    waiting.deadline = this.#deadlineOf(id, ms, "the login");
    if (!this.#suspended) waiting.deadline.start();
    invokeCallback(this.onStepUp, required);
  }

  #deadlineOf(id: number, ms: number, what: string): Deadline {
    return new Deadline(ms, () => {
      this.#reject(id, new GatewayError("call_timeout", `No answer to ${what} within ${ms} ms`));
    });
  }

  #suspend(suspended: boolean): void {
    if (this.#suspended === suspended) return;
    this.#suspended = suspended;
    for (const { deadline } of this.#waiting.values()) {
      if (suspended) deadline.stop();
      else deadline.start();
    }
    invokeCallback(this.onSuspension);
  }

  /** A suspended server answers pings too. */
  #beat(): void {
    if (!this.#receivedSincePing) {
      this.close({ code: connectionGone, reason: "The server does not answer" });
      return;
    }
    this.#receivedSincePing = false;
    this.#lastId += 1;
    this.send({ id: this.#lastId, type: "ping" });
  }

  #resolve(id: number, result: unknown): void {
    this.#taken(id)?.resolve(result);
  }

  /** A failed request gets no events either. */
  #reject(id: number, error: unknown): void {
    this.#listeners.delete(id);
    this.#taken(id)?.reject(error);
  }

  #taken(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.deadline.stop();
    return waiting;
  }

  #finish(end: CloseInfo): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    clearTimeout(this.#openTimer);
    clearInterval(this.#heartbeat);
    for (const id of [...this.#waiting.keys()]) this.#reject(id, connectionLost(end));
    this.#listeners.clear();
    this.#settle.opened.reject(this.#failure ?? openFailure({}));
    this.#settle.authenticated.reject(errorOfClose(end));
    this.#settle.closed.resolve(end);
  }
}

/** The result of `Promise.withResolvers`, which Node 20 does not have. */
interface Promised<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function withResolvers<T>(): Promised<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

function asFrame(data: unknown): Frame {
  if (typeof data === "string") return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw new GatewayError("connection_lost", "Unknown kind of frame");
}

function connectionLost(close: CloseInfo): GatewayError {
  const text = `Connection lost (${close.code} ${close.reason})`.trim();
  return new GatewayError("connection_lost", text, { close });
}

function errorOf(body: unknown, stepUpFault: unknown): GatewayError {
  const { code, message, retry_after } = (body ?? {}) as {
    code?: string;
    message?: string;
    retry_after?: number;
  };
  return new GatewayError(code ?? "unknown_error", message ?? "Unknown error", {
    retryAfterSeconds: retry_after,
    cause: code === "step_up_failed" ? stepUpFault : undefined,
  });
}
