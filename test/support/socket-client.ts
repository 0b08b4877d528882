import { Packr } from "msgpackr";
import { WebSocket } from "ws";

import { MSGPACK_SUBPROTOCOL, SOCKET_PATH } from "../../protocol/features.ts";
import { within } from "./within.ts";

export type Message = Readonly<Record<string, unknown>>;

export interface SocketClientOptions {
  readonly codec?: "json" | "msgpack";
  /** A list of values is sent as so many headers. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Query of the request target, without `?`. */
  readonly query?: string;
  readonly subprotocols?: readonly string[];
  readonly autoPong?: boolean;
  /** Loopback address to connect from. */
  readonly from?: string;
  /** Uses TLS and trusts only this certificate. */
  readonly ca?: Buffer;
}

export interface SocketClient {
  readonly subprotocol: string;
  /** Frames that arrived and were not taken by `next` yet. */
  readonly unread: readonly unknown[];
  /** Every frame since the socket opened. */
  readonly received: readonly unknown[];
  send(message: unknown): void;
  /** Sends a frame unchanged: text or bytes. */
  sendFrame(frame: string | Uint8Array): void;
  /** The next frame's message; rejects if the socket closes first. An array if the server coalesced. */
  next(): Promise<unknown>;
  /** The first message that `fits`. Others before it are skipped; arrays are unpacked. */
  find(fits: (message: Message) => boolean, what: string): Promise<Message>;
  /** Sends a command with the next id and returns its answer (`result` or `pong`). */
  call(type: string, fields?: object): Promise<Message>;
  /** Reads `auth_required`, sends the token and returns the answer. */
  authenticate(token: string): Promise<Message>;
  /** How the server closed it. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** Stops and resumes reading from the network. */
  pause(): void;
  resume(): void;
  close(): void;
  terminate(): void;
}

/** The upgrade was answered with HTTP. */
export class UpgradeRefused extends Error {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
  constructor(status: number, body: string, headers: Readonly<Record<string, unknown>>) {
    super(`upgrade refused with ${status}`);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

const packr = new Packr({ useRecords: false });

/** A real socket with promises and deadlines. Rejects with `UpgradeRefused` if the answer is not 101. */
export async function openSocket(port: number, options: SocketClientOptions = {}): Promise<SocketClient> {
  const query = options.query === undefined ? "" : `?${options.query}`;
  const subprotocols = options.subprotocols ?? (options.codec === "msgpack" ? [MSGPACK_SUBPROTOCOL] : []);
  const scheme = options.ca === undefined ? "ws" : "wss";
  const socket = new WebSocket(`${scheme}://127.0.0.1:${port}${SOCKET_PATH}${query}`, [...subprotocols], {
    headers: { ...options.headers },
    autoPong: options.autoPong ?? true,
    perMessageDeflate: false,
    localAddress: options.from,
    ca: options.ca,
  });
  const client = new WsClient(socket);
  await within(client.opened, "the socket to open");
  return client;
}

class WsClient implements SocketClient {
  readonly opened: Promise<void>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly unread: unknown[] = [];
  readonly received: unknown[] = [];
  readonly #socket: WebSocket;
  #waiting: { resolve(message: unknown): void; reject(error: Error): void }[] = [];
  #end: Error | undefined;
  #lastId = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "nodebuffer";
    this.opened = new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
      socket.once("unexpected-response", (_, response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () =>
          reject(
            new UpgradeRefused(response.statusCode ?? 0, Buffer.concat(parts).toString(), response.headers),
          ),
        );
      });
    });
    socket.on("error", () => undefined);
    socket.on("message", (data: Buffer, binary: boolean) => this.#arrived(data, binary));
    this.closed = new Promise((resolve) => {
      socket.once("close", (code, reason) => {
        this.#end = new Error(`closed with ${code} ${reason.toString()}`);
        for (const { reject } of this.#waiting) reject(this.#end);
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  get subprotocol(): string {
    return this.#socket.protocol;
  }

  get #msgpack(): boolean {
    return this.#socket.protocol === MSGPACK_SUBPROTOCOL;
  }

  #arrived(data: Buffer, binary: boolean): void {
    const message: unknown = binary ? packr.unpack(data) : JSON.parse(data.toString());
    this.received.push(message);
    const waiter = this.#waiting.shift();
    if (waiter === undefined) this.unread.push(message);
    else waiter.resolve(message);
  }

  send(message: unknown): void {
    this.#socket.send(this.#msgpack ? packr.pack(message) : JSON.stringify(message));
  }

  sendFrame(frame: string | Uint8Array): void {
    this.#socket.send(frame);
  }

  next(): Promise<unknown> {
    if (this.unread.length > 0) return Promise.resolve(this.unread.shift());
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const message = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    return within(message, "the next message");
  }

  async find(fits: (message: Message) => boolean, what: string): Promise<Message> {
    for (;;) {
      const frame = await within(this.next(), what);
      const messages = (Array.isArray(frame) ? frame : [frame]) as Message[];
      const found = messages.find(fits);
      if (found !== undefined) return found;
    }
  }

  call(type: string, fields: object = {}): Promise<Message> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.send({ id, type, ...fields });
    const isAnswer = (message: Message) =>
      message.id === id && (message.type === "result" || message.type === "pong");
    return this.find(isAnswer, `the answer to ${type}`);
  }

  async authenticate(token: string): Promise<Message> {
    await this.find((message) => message.type === "auth_required", "auth_required");
    this.send({ type: "auth", access_token: token });
    return this.find((message) => String(message.type).startsWith("auth_"), "the answer to auth");
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.close();
  }

  terminate(): void {
    this.#socket.terminate();
  }
}
