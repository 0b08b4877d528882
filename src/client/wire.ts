import { closeCodes } from "../../protocol/close-codes.ts";
import type { Codec, Frame } from "../codec/codec.ts";
import { GatewayError } from "./errors.ts";

/** The part of the WebSocket API that the SDK uses: browsers, Node 22 and the `ws` package all have it. */
export interface WebSocketLike {
  binaryType: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
}
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => WebSocketLike;

export interface CloseInfo {
  readonly code: number;
  readonly reason: string;
}

type Message = Readonly<Record<string, unknown>>;
interface Waiting {
  resolve(result: unknown): void;
  reject(error: GatewayError): void;
  timer: ReturnType<typeof setTimeout>;
}

/** One socket: numbers requests, matches answers, keeps a deadline per request. Knows nothing of tokens. */
export class Wire {
  readonly closed: Promise<CloseInfo>;
  /** Messages that are neither an answer nor an event: `auth_ok`, `auth_invalid`, `auth_expiring`. */
  onMessage: (message: Message) => void = () => {};
  readonly #socket: WebSocketLike;
  readonly #codec: Codec;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<number, (event: unknown) => void>();
  #lastId = 0;
  #end: CloseInfo | undefined;

  constructor(socket: WebSocketLike, codec: Codec) {
    this.#socket = socket;
    this.#codec = codec;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", (event) => this.#receive(event.data));
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", (event) => {
        this.#finish({ code: event.code, reason: event.reason });
        resolve({ code: event.code, reason: event.reason });
      });
    });
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  /** A message without an id (`auth`). */
  send(message: Message): void {
    if (this.#end) throw connectionLost(this.#end);
    this.#socket.send(this.#codec.encode(message) as string | Uint8Array<ArrayBuffer>);
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
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(
          new GatewayError("call_timeout", `No answer to ${String(message.type)} within ${timeoutMs} ms`),
        );
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      try {
        this.send({ id, ...message });
      } catch (error) {
        clearTimeout(timer);
        this.#waiting.delete(id);
        reject(error);
      }
    });
    return { id, result };
  }

  forget(id: number): void {
    this.#listeners.delete(id);
  }

  close(code: number = closeCodes.normal.number, reason = ""): void {
    this.#socket.close(code, reason);
  }

  #receive(data: unknown): void {
    let decoded: unknown;
    try {
      decoded = this.#codec.decode(asFrame(data));
    } catch {
      this.close(4400, "Server message could not be decoded");
      return;
    }
    for (const message of Array.isArray(decoded) ? decoded : [decoded]) this.#dispatch(message as Message);
  }

  #dispatch(message: Message): void {
    const id = typeof message.id === "number" ? message.id : undefined;
    if (message.type === "event" && id !== undefined) {
      this.#listeners.get(id)?.(message.event);
      return;
    }
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || waiting === undefined) {
      if (id === undefined) this.onMessage(message);
      return;
    }
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (message.type === "pong") waiting.resolve(null);
    else if (message.success === true) waiting.resolve(message.result);
    else waiting.reject(errorOf(message.error));
  }

  #finish(end: CloseInfo): void {
    this.#end = end;
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(connectionLost(end));
    }
    this.#waiting.clear();
    this.#listeners.clear();
  }
}

function asFrame(data: unknown): Frame {
  if (typeof data === "string") return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw new GatewayError("connection_lost", "Unknown kind of frame");
}

function connectionLost(close: CloseInfo): GatewayError {
  return new GatewayError("connection_lost", `Connection lost (${close.code} ${close.reason})`.trim(), {
    close,
  });
}

function errorOf(body: unknown): GatewayError {
  const { code, message, retry_after } = (body ?? {}) as {
    code?: string;
    message?: string;
    retry_after?: number;
  };
  return new GatewayError(code ?? "unknown_error", message ?? "Unknown error", {
    retryAfterSeconds: retry_after,
  });
}

/** Opens a socket. Rejects with `cannot_connect` when it does not open within `timeoutMs`. */
export function openWire(options: {
  readonly url: string;
  readonly codec: Codec;
  readonly WebSocket: WebSocketConstructor;
  readonly timeoutMs: number;
}): Promise<Wire> {
  const { codec, url } = options;
  return new Promise((resolve, reject) => {
    const socket = new options.WebSocket(url, codec.subprotocol === undefined ? [] : [codec.subprotocol]);
    const wire = new Wire(socket, codec);
    const timer = setTimeout(() => {
      socket.close();
      reject(new GatewayError("cannot_connect", `The socket did not open within ${options.timeoutMs} ms`));
    }, options.timeoutMs);
    socket.addEventListener("open", () => {
      clearTimeout(timer);
      resolve(wire);
    });
    socket.addEventListener("error", () => {});
    wire.closed.then((close) => {
      clearTimeout(timer);
      reject(new GatewayError("cannot_connect", "The socket could not be opened", { close }));
    }, reject);
  });
}
