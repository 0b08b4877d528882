import { WebSocket } from "ws";

import { SOCKET_PATH } from "../../protocol/features.ts";

export type Message = Readonly<Record<string, unknown>>;

/** How a request ended: answered, interrupted by the end of the socket, or not in time. */
export type Answer =
  | { readonly kind: "answer"; readonly message: Message }
  | { readonly kind: "closed"; readonly code: number }
  | { readonly kind: "late" };

/** How a token was received. `code` is the close code; 0 if nothing arrived in time. */
export type Reception = { readonly kind: "ok" } | { readonly kind: "refused"; readonly code: number };

const openMs = 2_500;

/**
 * A socket of an actor. Unlike the tests' other clients it expects nothing: whatever the peer does or omits is an
 * outcome, not an error.
 */
export class ChaosSocket {
  readonly closed: Promise<number>;
  /** Every message, with `auth_*` and answers, in order. */
  onMessage: (message: Message) => void = () => undefined;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #admitted: (reception: Reception) => void = () => undefined;
  #lastId = 0;
  #code: number | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("message", (data: Buffer) => this.#arrived(JSON.parse(data.toString()) as Message));
    this.closed = new Promise((resolve) => {
      socket.once("close", (code) => {
        this.#code = code;
        for (const settle of this.#waiting.values()) settle({ kind: "closed", code });
        this.#admitted({ kind: "refused", code });
        resolve(code);
      });
    });
  }

  /** Undefined if the socket does not open in time. `from`: the client address that a proxy reports. */
  static open(port: number, from?: string): Promise<ChaosSocket | undefined> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${SOCKET_PATH}`, {
      ...(from === undefined ? {} : { headers: { "x-forwarded-for": from } }),
      handshakeTimeout: openMs,
      perMessageDeflate: false,
    });
    const client = new ChaosSocket(socket);
    return new Promise((resolve) => {
      socket.once("open", () => resolve(client));
      socket.once("close", () => resolve(undefined));
    });
  }

  get isOpen(): boolean {
    return this.#code === undefined && this.#socket.readyState === WebSocket.OPEN;
  }

  get pending(): number {
    return this.#waiting.size;
  }

  request(type: string, fields: object = {}, deadlineMs = 20_000): Promise<Answer> {
    if (this.#code !== undefined) return Promise.resolve({ kind: "closed", code: this.#code });
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      const late = setTimeout(() => settle({ kind: "late" }), deadlineMs);
      const settle = (answer: Answer) => {
        clearTimeout(late);
        this.#waiting.delete(id);
        resolve(answer);
      };
      this.#waiting.set(id, settle);
      this.#socket.send(JSON.stringify({ id, type, ...fields }));
    });
  }

  authenticate(token: string, deadlineMs = 5_000): Promise<Reception> {
    const reception = this.admitted(deadlineMs);
    this.#socket.send(JSON.stringify({ type: "auth", access_token: token }));
    return reception;
  }

  /** `auth_ok`, or the close instead. */
  admitted(deadlineMs = 5_000): Promise<Reception> {
    if (this.#code !== undefined) return Promise.resolve({ kind: "refused", code: this.#code });
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve({ kind: "refused", code: 0 }), deadlineMs);
      this.#admitted = (reception) => {
        clearTimeout(late);
        resolve(reception);
      };
    });
  }

  end(): void {
    this.#socket.close();
  }

  /** Ends without a close frame, as a lost network does. */
  drop(): void {
    this.#socket.terminate();
  }

  #arrived(message: Message): void {
    if (message.type === "auth_ok") this.#admitted({ kind: "ok" });
    this.onMessage(message);
    if (message.type !== "result" && message.type !== "pong") return;
    this.#waiting.get(message.id as number)?.({ kind: "answer", message });
  }
}
