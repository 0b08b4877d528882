import { closeCodes } from "../../protocol/close-codes.ts";
import type { Frame } from "../codec/codec.ts";
import type { SharedFrames } from "../connection/shared-frames.ts";
import type { SendResult, Socket, SocketHandler } from "../connection/socket.ts";
import { cutReason, sendableCode } from "./close-frame.ts";
import type { UwsWebSocket } from "./uws-library.ts";

/** Stateless between calls. The library has checked the text. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Pings that may come in while earlier pongs are not yet taken by the client; one more ends the socket. */
const MAX_UNREAD_PONGS = 60;

/** What a socket needs of its listener. */
export interface UwsSocketOwner {
  readonly onError: (error: unknown) => void;
  readonly maxMessageBytes: number;
  forget(socket: UwsSocket): void;
}

/** What the library keeps on its own object for us. */
export interface UwsSocketData {
  socket: UwsSocket | undefined;
}

/** One WebSocket of uWebSockets.js. The library's object is dead after its close event and is let go there. */
export class UwsSocket implements Socket {
  readonly #owner: UwsSocketOwner;
  #create: ((socket: Socket) => SocketHandler) | undefined;
  #ws: UwsWebSocket | undefined;
  #handler: SocketHandler | undefined;
  #ending: { readonly code: number; readonly reason: string } | undefined;
  #waiting = false;
  #unreadPongs = 0;

  constructor(owner: UwsSocketOwner, create: (socket: Socket) => SocketHandler) {
    this.#owner = owner;
    this.#create = create;
  }

  open(ws: UwsWebSocket): void {
    this.#ws = ws;
    try {
      this.#handler = this.#create?.(this);
      this.#create = undefined;
    } catch (error) {
      this.#fail(error);
    }
  }

  send(frame: Frame): SendResult {
    const ws = this.#ws;
    if (ws === undefined) return "dropped";
    return this.#sent(ws.send(frame, typeof frame !== "string", false));
  }

  sendShared(shared: SharedFrames): SendResult {
    const ws = this.#ws;
    if (ws === undefined) return "dropped";
    return this.#sent(shared.as(sharedMessages).sendTo(ws));
  }

  #sent(status: number): SendResult {
    if (status === 1) {
      // It took what was queued before along, if the kernel had room again. The library need not tell of that.
      this.drain();
      return "sent";
    }
    if (status === 0) {
      this.#waiting = true;
      return "queued";
    }
    // Cannot happen without a back-pressure limit. A frame that is lost in silence would be worse than a lost socket.
    this.terminate();
    return "dropped";
  }

  get bufferedBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  ping(): void {
    this.#ws?.ping();
    this.drain();
  }

  /** The library has one limit for all sockets. */
  limitMessages(): void {}

  close(code: number, reason: string): void {
    const ws = this.#ws;
    if (ws === undefined) return;
    this.#ending = { code: sendableCode(code), reason: cutReason(reason) };
    ws.end(this.#ending.code, this.#ending.reason);
  }

  terminate(): void {
    const ws = this.#ws;
    if (ws === undefined) return;
    this.#ending = { code: 1006, reason: "" };
    ws.close();
  }

  message(message: ArrayBuffer, isBinary: boolean): void {
    if (message.byteLength > this.#owner.maxMessageBytes) return void this.#close("message_too_big");
    try {
      this.#handler?.message(isBinary ? new Uint8Array(message) : utf8.decode(message));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The library has answered already. Pongs that nobody reads would pile up without end. */
  pinged(): void {
    this.#unreadPongs = this.bufferedBytes === 0 ? 0 : this.#unreadPongs + 1;
    if (this.#unreadPongs > MAX_UNREAD_PONGS) this.terminate();
    else this.#tell("ping");
  }

  pong(): void {
    this.#tell("pong");
  }

  /**
   * Not told from inside the library's callback: what is sent from there, or from a microtask of it, can wait for a
   * writable event that never comes.
   */
  drain(): void {
    if (this.#waiting && this.bufferedBytes === 0) setImmediate(tellDrained, this);
  }

  drained(): void {
    if (!this.#waiting || this.#ws === undefined || this.bufferedBytes > 0) return;
    this.#waiting = false;
    this.#tell("drained");
  }

  /** The library calls this from inside `end` and `close` too; the handler then hears of it after their caller. */
  closed(code: number, message: ArrayBuffer): void {
    this.#ws = undefined;
    if (this.#ending !== undefined) return void process.nextTick(tellClosed, this);
    this.#ending = endingOf(code, message);
    this.tellClosed();
  }

  tellClosed(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#owner.forget(this);
    try {
      if (this.#ending !== undefined) handler?.closed(this.#ending.code, this.#ending.reason);
    } catch (error) {
      this.#owner.onError(error);
    }
  }

  #tell(what: "ping" | "pong" | "drained"): void {
    try {
      this.#handler?.[what]();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#owner.onError(error);
    this.#close("internal_error");
  }

  #close(name: "internal_error" | "message_too_big"): void {
    this.close(closeCodes[name].number, closeCodes[name].text);
  }
}

/** Messages for many sockets. Nothing is allocated for one of them. */
class SharedMessages {
  /** Text is bytes too: the library would encode a string again for every socket. */
  readonly #messages: readonly Uint8Array[];
  readonly #isBinary: readonly boolean[];
  #ws: UwsWebSocket | undefined;
  #status = 1;

  constructor(frames: readonly Frame[]) {
    this.#messages = frames.map((frame) => (typeof frame === "string" ? Buffer.from(frame) : frame));
    this.#isBinary = frames.map((frame) => typeof frame !== "string");
  }

  /** The status of the last one that was not sent at once; otherwise 1. */
  sendTo(ws: UwsWebSocket): number {
    this.#ws = ws;
    this.#status = 1;
    if (this.#messages.length === 1) this.#sendAll();
    // The library collects what is sent inside, and writes it once.
    else ws.cork(this.#sendAll);
    this.#ws = undefined;
    return this.#status;
  }

  readonly #sendAll = (): void => {
    const ws = this.#ws;
    if (ws === undefined) return;
    for (let place = 0; place < this.#messages.length; place += 1) {
      const status = ws.send(this.#messages[place] ?? nothing, this.#isBinary[place] === true, false);
      if (status !== 1) this.#status = status;
    }
  };
}

const nothing = new Uint8Array();

function sharedMessages(frames: readonly Frame[]): SharedMessages {
  return new SharedMessages(frames);
}

function tellDrained(socket: UwsSocket): void {
  socket.drained();
}

function tellClosed(socket: UwsSocket): void {
  socket.tellClosed();
}

/**
 * The library says 1006 for a lost connection and for a frame that it refused, and names the fault in the text for
 * two kinds; other broken frames cannot be told from a lost connection.
 */
function endingOf(code: number, message: ArrayBuffer): { code: number; reason: string } {
  const text = message.byteLength === 0 ? "" : Buffer.from(message).toString("utf8");
  if (code !== 1006) return { code, reason: text };
  if (text.startsWith("Received too big message"))
    return { code: closeCodes.message_too_big.number, reason: closeCodes.message_too_big.text };
  if (text === "Received invalid UTF-8")
    return { code: closeCodes.invalid_payload.number, reason: closeCodes.invalid_payload.text };
  return { code: 1006, reason: "" };
}
