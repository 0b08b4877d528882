import type { Duplex } from "node:stream";
import { type RawData, WebSocket } from "ws";
import { closeCodes } from "../../protocol/close-codes.ts";
import type { Frame } from "../codec/codec.ts";
import { noSeat, type Seated } from "../connection/seats.ts";
import type { SendResult, Socket, SocketHandler } from "../connection/socket.ts";
import { cutReason, sendableCode } from "./close-frame.ts";

/** What a socket needs of its listener. */
export interface SocketOwner {
  readonly onError: (error: unknown) => void;
  forget(socket: WsSocket): void;
}

interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** The connection of the `ws` package, with the gateway's socket on it: the listeners below are shared by all. */
export class WsConnection extends WebSocket {
  gate: WsSocket | undefined;
}

/** One WebSocket of the `ws` package. */
export class WsSocket implements Socket, Seated {
  seat = noSeat;
  readonly #ws: WsConnection;
  readonly #raw: Duplex;
  readonly #owner: SocketOwner;
  #handler: SocketHandler | undefined;
  /** Set once by whatever ended the socket first: our close, our terminate, a frame that broke the rules. */
  #ending: Ending | undefined;
  #waiting = false;

  constructor(ws: WsConnection, raw: Duplex, owner: SocketOwner) {
    this.#ws = ws;
    this.#raw = raw;
    this.#owner = owner;
    ws.gate = this;
    ws.on("message", onMessage);
    ws.on("pong", onPong);
    ws.on("error", onError);
    ws.on("close", onClose);
  }

  /** Asks for the handler; one that cannot be made closes the socket with 1011. */
  open(create: (socket: Socket) => SocketHandler): void {
    try {
      this.#handler = create(this);
    } catch (error) {
      this.#fail(error);
    }
  }

  send(frame: Frame): SendResult {
    if (this.#ending !== undefined || this.#ws.readyState !== WebSocket.OPEN) return "dropped";
    this.#ws.send(frame);
    // A frame above the high-water mark that the kernel took whole leaves nothing to wait for.
    if (!this.#raw.writableNeedDrain || this.#raw.writableLength === 0) return "sent";
    if (!this.#waiting) {
      this.#waiting = true;
      this.#raw.once("drain", () => this.#drained());
    }
    return "queued";
  }

  get bufferedBytes(): number {
    return this.#raw.destroyed ? 0 : this.#raw.writableLength;
  }

  ping(): void {
    if (this.#ending === undefined && this.#ws.readyState === WebSocket.OPEN) this.#ws.ping();
  }

  close(code: number, reason: string): void {
    if (this.#ending !== undefined || this.#ws.readyState !== WebSocket.OPEN) return;
    this.#ending = { code: sendableCode(code), reason: cutReason(reason) };
    this.#ws.close(this.#ending.code, this.#ending.reason);
  }

  terminate(): void {
    this.#ending ??= { code: 1006, reason: "" };
    this.#ws.terminate();
  }

  message(frame: Frame): void {
    if (this.#ending !== undefined) return;
    try {
      this.#handler?.message(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  pong(): void {
    if (this.#ending !== undefined) return;
    try {
      this.#handler?.pong();
    } catch (error) {
      this.#fail(error);
    }
  }

  #drained(): void {
    this.#waiting = false;
    if (this.#ending !== undefined || this.#ws.readyState !== WebSocket.OPEN) return;
    try {
      this.#handler?.drained();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The `ws` package has sent its close frame already. */
  broken(error: Error): void {
    this.#ending ??= endingOf(error);
  }

  closed(code: number, reason: string): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#owner.forget(this);
    const ending = this.#ending ?? { code, reason };
    this.#ending = ending;
    try {
      handler?.closed(ending.code, ending.reason);
    } catch (error) {
      this.#owner.onError(error);
    }
  }

  #fail(error: unknown): void {
    this.#owner.onError(error);
    this.close(closeCodes.internal_error.number, closeCodes.internal_error.text);
  }
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  if (!(this instanceof WsConnection) || !Buffer.isBuffer(data)) return;
  this.gate?.message(isBinary ? data : data.toString("utf8"));
}

function onPong(this: WebSocket): void {
  if (this instanceof WsConnection) this.gate?.pong();
}

function onError(this: WebSocket, error: Error): void {
  if (this instanceof WsConnection) this.gate?.broken(error);
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  if (this instanceof WsConnection) this.gate?.closed(code, reason.toString("utf8"));
}

/** What the `ws` package closed with. Its errors name their kind and not the close code. */
function endingOf(error: Error): Ending | undefined {
  const kind = "code" in error ? String(error.code) : "";
  if (kind === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" || kind === "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH")
    return endingNamed("message_too_big");
  if (kind === "WS_ERR_INVALID_UTF8") return endingNamed("invalid_payload");
  if (kind === "WS_ERR_TOO_MANY_BUFFERED_PARTS") return { code: 1008, reason: "Too many fragments" };
  return kind.startsWith("WS_ERR_") ? endingNamed("protocol_error") : undefined;
}

function endingNamed(name: "message_too_big" | "invalid_payload" | "protocol_error"): Ending {
  return { code: closeCodes[name].number, reason: closeCodes[name].text };
}
