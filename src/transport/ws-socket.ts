import type { Socket as RawSocket } from "node:net";
import { TLSSocket } from "node:tls";
import { type CloseName, closeCodes } from "../../protocol/close-codes.ts";
import type { Frame } from "../codec/codec.ts";
import type { SharedFrames } from "../connection/shared-frames.ts";
import type { SendResult, Socket, SocketHandler } from "../connection/socket.ts";
import { cutReason, sendableCode } from "./close-frame.ts";
import type { FrameReader, FrameTurns } from "./frame-turns.ts";
import { closeFrame, dataFrame, type FrameParts, joinedFrames, pingFrame, pongFrame } from "./ws-frames.ts";
import { BoundedReceiver } from "./ws-receiver.ts";

/** What a socket needs of its listener. */
export interface SocketOwner {
  readonly onError: (error: unknown) => void;
  readonly maxMessageBytes: number;
  readonly turns: FrameTurns;
  forget(socket: WsSocket): void;
  /** Nothing is sent or received on this connection any more: destroy it soon. */
  left(raw: RawSocket): void;
}

interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** The time that a peer has for its part of the closing handshake, ms. */
export const CLOSE_TIMEOUT_MS = 2000;
/** Pings that may come in while earlier pongs are not yet taken by the client; one more ends the socket. */
const MAX_UNREAD_PONGS = 60;
/**
 * Read after a close frame of ours, as a multiple of the largest message: the peer's own close frame comes behind what it
 * had sent before. A peer that sends more is not read any more, so that a flood costs nothing until the connection is
 * destroyed. Not destroyed at once: a reset can take our close frame from a peer that has not read it yet.
 */
const MAX_READ_AFTER_CLOSE = 2;
/** The handler is told of this many fragments at a time. */
const FRAGMENTS_TOLD = 64;

const socketOf = Symbol("socket");

/** A connection after its upgrade. The listeners at the end are shared by all: none has a closure of its own. */
interface Upgraded extends RawSocket {
  [socketOf]?: WsSocket;
}

interface GatedReceiver extends BoundedReceiver {
  [socketOf]?: WsSocket;
}

/** One WebSocket, from the 101 on, on its TCP or TLS connection. */
export class WsSocket implements Socket, FrameReader {
  readonly #raw: RawSocket;
  readonly #owner: SocketOwner;
  /** Undefined once nothing is read any more: after the peer's close frame or a broken frame. */
  #receiver: BoundedReceiver | undefined;
  #handler: SocketHandler | undefined;
  /** False once either side has begun to close. After that nothing is sent and no message is handed over. */
  #open = true;
  /** Set once by whatever ended the socket first. */
  #ending: Ending | undefined;
  #drainAwaited = false;
  /** The peer has ended its side, and frames from before that are not all read yet. */
  #endWaits = false;
  #unreadPongs = 0;
  #readAfterClose = 0;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(raw: RawSocket, owner: SocketOwner) {
    this.#raw = raw;
    this.#owner = owner;
    this.#receiver = createReceiver(this, owner.maxMessageBytes);
    const upgraded: Upgraded = raw;
    upgraded[socketOf] = this;
    raw.setTimeout(0);
    raw.on("data", onData);
    raw.on("end", onEnd);
    raw.on("close", onClose);
  }

  limitMessages(bytes: number): void {
    this.#receiver?.limitMessages(bytes);
  }

  /** Asks for the handler. If it cannot be created, the socket closes with 1011. */
  open(create: (socket: Socket) => SocketHandler): void {
    try {
      this.#handler = create(this);
    } catch (error) {
      this.#fail(error);
    }
  }

  send(frame: Frame): SendResult {
    const raw = this.#raw;
    if (!this.#open || raw.destroyed) return "dropped";
    writeFrame(raw, dataFrame(frame));
    return this.#written(raw);
  }

  /** A server's frames are the same for every socket: one buffer, in one write. */
  sendShared(shared: SharedFrames): SendResult {
    const raw = this.#raw;
    if (!this.#open || raw.destroyed) return "dropped";
    raw.write(shared.as(joinedFrames));
    return this.#written(raw);
  }

  #written(raw: RawSocket): SendResult {
    // A frame above the high-water mark that the kernel took whole leaves nothing to wait for.
    if (!raw.writableNeedDrain || raw.writableLength === 0) return "sent";
    if (!this.#drainAwaited) {
      this.#drainAwaited = true;
      raw.once("drain", () => this.#drained());
    }
    return "queued";
  }

  get bufferedBytes(): number {
    return this.#raw.destroyed ? 0 : this.#raw.writableLength;
  }

  ping(): void {
    if (this.#open) writeFrame(this.#raw, pingFrame);
  }

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#ending = { code: sendableCode(code), reason: cutReason(reason) };
    this.#sendClose(this.#ending.code, this.#ending.reason);
  }

  terminate(): void {
    this.#open = false;
    this.#ending ??= { code: 1006, reason: "" };
    this.#raw.destroy();
  }

  read(chunk: Buffer): void {
    if (!this.#open) {
      this.#readAfterClose += chunk.length;
      if (this.#readAfterClose > MAX_READ_AFTER_CLOSE * this.#owner.maxMessageBytes)
        return void this.#raw.pause();
    }
    this.#receiver?.write(chunk);
    this.#afterRead();
  }

  /** The connection is paused: nothing else comes in before what was read. */
  readOn(): void {
    this.#receiver?.readOn();
    this.#afterRead();
    if (this.#receiver?.waits === true) return;
    if (this.#endWaits) this.ended();
    else this.#raw.resume();
  }

  #afterRead(): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    if (receiver.fragments >= FRAGMENTS_TOLD) this.#toldFragments(receiver.takeFragments());
    if (!receiver.waits) return;
    this.#raw.pause();
    this.#owner.turns.ask(this);
  }

  #toldFragments(count: number): void {
    if (!this.#open) return;
    try {
      this.#handler?.fragments(count);
    } catch (error) {
      this.#fail(error);
    }
  }

  message(frame: Frame): void {
    if (!this.#open) return;
    try {
      this.#handler?.message(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** `payload` is only valid during the call. */
  pinged(payload: Buffer): void {
    if (!this.#open) return;
    if (this.#unreadPongs >= MAX_UNREAD_PONGS) return void this.terminate();
    this.#tell("ping");
    if (!this.#open) return;
    this.#unreadPongs += 1;
    writeFrame(this.#raw, pongFrame(Buffer.from(payload)), () => {
      this.#unreadPongs -= 1;
    });
  }

  ponged(): void {
    if (this.#open) this.#tell("pong");
  }

  /** The peer's close frame: its code and reason go back to it, unless ours was first. */
  closing(code: number, reason: string): void {
    this.#receiver = undefined;
    this.#ending ??= { code, reason };
    if (this.#open) this.#sendClose(code === 1005 ? undefined : code, reason);
    if (!this.#raw.destroyed) this.#raw.end();
  }

  /** The peer broke RFC 6455 or a limit on messages. */
  broken(close: CloseName): void {
    this.#receiver = undefined;
    const ending = { code: closeCodes[close].number, reason: closeCodes[close].text };
    this.#ending ??= ending;
    if (this.#open) this.#sendClose(ending.code, ending.reason);
    if (!this.#raw.destroyed) this.#raw.end();
  }

  /**
   * The peer sends nothing more and gave no reason. A pause does not delay this: what was read is processed first.
   */
  ended(): void {
    this.#endWaits = this.#receiver?.waits === true;
    if (this.#endWaits) return;
    this.#open = false;
    const raw = this.#raw;
    // What `end` does if nothing waits to be sent, without a system call and several ticks. TLS sends its own close.
    if (raw.writableLength === 0 && !(raw instanceof TLSSocket)) return void this.#owner.left(raw);
    raw.end();
    this.#limitWait();
  }

  closed(): void {
    this.#open = false;
    clearTimeout(this.#closeTimer);
    this.#owner.turns.forget(this);
    const handler = this.#handler;
    this.#handler = undefined;
    this.#owner.forget(this);
    this.#ending ??= { code: 1006, reason: "" };
    try {
      handler?.closed(this.#ending.code, this.#ending.reason);
    } catch (error) {
      this.#owner.onError(error);
    }
  }

  #sendClose(code: number | undefined, reason: string): void {
    this.#open = false;
    writeFrame(this.#raw, closeFrame(code, reason));
    this.#limitWait();
  }

  /** Limits the wait for a peer that does not do its part of the close, or does not read ours. */
  #limitWait(): void {
    this.#closeTimer ??= setTimeout(() => this.#raw.destroy(), CLOSE_TIMEOUT_MS);
  }

  #drained(): void {
    this.#drainAwaited = false;
    if (this.#open) this.#tell("drained");
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
    this.close(closeCodes.internal_error.number, closeCodes.internal_error.text);
  }
}

function onData(this: Upgraded, chunk: Buffer): void {
  this[socketOf]?.read(chunk);
}

function onEnd(this: Upgraded): void {
  this[socketOf]?.ended();
}

function onClose(this: Upgraded): void {
  this[socketOf]?.closed();
}

/** In one system call where the connection is idle. `taken`: the kernel has the frame, or never will. */
function writeFrame(raw: RawSocket, [head, payload]: FrameParts, taken?: () => void): void {
  if (payload === undefined) return void raw.write(head, taken);
  raw.cork();
  raw.write(head);
  raw.write(payload, taken);
  raw.uncork();
}

function createReceiver(socket: WsSocket, maxMessageBytes: number): BoundedReceiver {
  const receiver: GatedReceiver = new BoundedReceiver(maxMessageBytes);
  receiver[socketOf] = socket;
  receiver.on("message", onMessage);
  receiver.on("ping", onPing);
  receiver.on("pong", onPong);
  receiver.on("conclude", onConclude);
  receiver.on("error", onBroken);
  return receiver;
}

function onMessage(this: GatedReceiver, data: Buffer, isBinary: boolean): void {
  this[socketOf]?.message(isBinary ? data : data.toString());
}

function onPing(this: GatedReceiver, payload: Buffer): void {
  this[socketOf]?.pinged(payload);
}

function onPong(this: GatedReceiver): void {
  this[socketOf]?.ponged();
}

function onConclude(this: GatedReceiver, code: number, reason: Buffer): void {
  this[socketOf]?.closing(code, reason.toString());
}

function onBroken(this: GatedReceiver, error: Error): void {
  this[socketOf]?.broken(protocolViolations.get("code" in error ? error.code : "") ?? "protocol_error");
}

/** By the `code` of the package's errors, which its documentation lists; any other breaks RFC 6455. */
const protocolViolations: ReadonlyMap<unknown, CloseName> = new Map([
  ["WS_ERR_INVALID_UTF8", "invalid_payload"],
  ["WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH", "message_too_big"],
  ["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", "message_too_big"],
  ["WS_ERR_TOO_MANY_BUFFERED_PARTS", "rate_limited"],
]);
