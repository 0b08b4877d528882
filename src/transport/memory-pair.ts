import { closeCodes } from "../../protocol/close-codes.ts";
import type { Frame } from "../codec/codec.ts";
import type { SharedFrames } from "../connection/shared-frames.ts";
import type { SendResult, Socket, SocketHandler } from "../connection/socket.ts";
import { cutReason, sendableCode } from "./close-frame.ts";

/** Bytes on their way in one direction from which on `send` answers "queued". */
const HIGH_WATER_BYTES = 64 * 1024;
const CLOSE_TIMEOUT_MS = 2000;

/** The client's end of a pair. */
export interface MemoryPeer {
  /** As `Socket.send`. */
  send(frame: Frame): SendResult;
  readonly bufferedBytes: number;
  ping(): void;
  /** As `Socket.close`; without a code the server hears 1005. */
  close(code?: number, reason?: string): void;
  terminate(): void;
  /** Stops reading, like a client that hangs: frames for it pile up on the server's side. */
  pause(): void;
  resume(): void;
}

export interface MemoryPairOptions {
  /** Largest message from the client. */
  readonly maxMessageBytes: number;
  readonly onError: (error: unknown) => void;
  /** Called once, when the server's end has closed. */
  readonly ended: () => void;
}

type Item =
  | { readonly kind: "message"; readonly frame: Frame; readonly bytes: number }
  | { readonly kind: "ping"; readonly bytes: number }
  | { readonly kind: "pong"; readonly bytes: number }
  | { readonly kind: "close"; readonly code: number; readonly reason: string; readonly bytes: number };

/** Two ends that receive each other's frames, in order, in a later tick. */
export class MemoryPair {
  readonly server: MemoryEnd;
  readonly client: MemoryEnd;

  constructor(client: SocketHandler, options: MemoryPairOptions) {
    this.server = new MemoryEnd(options);
    this.client = new MemoryEnd({
      onError: options.onError,
      maxMessageBytes: Number.POSITIVE_INFINITY,
      ended: () => undefined,
    });
    this.server.peer = this.client;
    this.client.peer = this.server;
    this.client.handler = client;
  }

  open(create: (socket: Socket) => SocketHandler): void {
    this.server.open(create);
  }
}

class MemoryEnd implements Socket, MemoryPeer {
  peer: MemoryEnd | undefined;
  handler: SocketHandler | undefined;
  readonly #options: MemoryPairOptions;
  #inbox: Item[] = [];
  inboxBytes = 0;
  #paused = false;
  #scheduled = false;
  #waiting = false;
  ending: { readonly code: number; readonly reason: string } | undefined;
  #closeTimer: NodeJS.Timeout | undefined;
  #over = false;
  #mostBytes: number;

  constructor(options: MemoryPairOptions) {
    this.#options = options;
    this.#mostBytes = options.maxMessageBytes;
  }

  limitMessages(bytes: number): void {
    this.#mostBytes = bytes;
  }

  open(create: (socket: Socket) => SocketHandler): void {
    this.#guard(() => {
      this.handler = create(this);
    });
  }

  send(frame: Frame): SendResult {
    if (this.ending !== undefined || this.peer === undefined) return "dropped";
    const copy = typeof frame === "string" ? frame : Uint8Array.from(frame);
    const bytes = typeof copy === "string" ? Buffer.byteLength(copy) : copy.byteLength;
    this.peer.receive({ kind: "message", frame: copy, bytes });
    if (this.bufferedBytes <= HIGH_WATER_BYTES) return "sent";
    this.#waiting = true;
    return "queued";
  }

  sendShared({ frames }: SharedFrames): SendResult {
    let result: SendResult = "sent";
    for (const frame of frames) result = this.send(frame);
    return result;
  }

  get bufferedBytes(): number {
    return this.#over ? 0 : (this.peer?.inboxBytes ?? 0);
  }

  ping(): void {
    if (this.ending === undefined) this.peer?.receive({ kind: "ping", bytes: 0 });
  }

  close(code?: number, reason = ""): void {
    if (this.ending !== undefined) return;
    const sent = { code: code === undefined ? 1005 : sendableCode(code), reason: cutReason(reason) };
    this.ending = sent;
    this.peer?.receive({ kind: "close", ...sent, bytes: 0 });
    this.#closeTimer = setTimeout(() => this.#destroy(), CLOSE_TIMEOUT_MS);
  }

  terminate(): void {
    this.ending ??= { code: 1006, reason: "" };
    setImmediate(() => this.#destroy());
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  receive(item: Item): void {
    if (this.#over) return;
    this.#inbox.push(item);
    this.inboxBytes += item.bytes;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const had = this.#inbox.length;
    while (!this.#paused && !this.#over) {
      const item = this.#inbox.shift();
      if (item === undefined) break;
      this.inboxBytes -= item.bytes;
      this.#handle(item);
    }
    if (had > 0 && this.#inbox.length === 0) this.peer?.drained();
  }

  #handle(item: Item): void {
    if (item.kind === "close") return void this.#closedByPeer(item.code, item.reason);
    if (this.ending !== undefined) return;
    if (item.kind === "ping") {
      this.peer?.receive({ kind: "pong", bytes: 0 });
      return void this.#guard(() => this.handler?.ping());
    }
    if (item.kind === "pong") return void this.#guard(() => this.handler?.pong());
    const { frame, bytes } = item;
    if (bytes <= this.#mostBytes) return void this.#guard(() => this.handler?.message(frame));
    this.close(closeCodes.message_too_big.number, closeCodes.message_too_big.text);
  }

  drained(): void {
    if (!this.#waiting || this.ending !== undefined) return;
    this.#waiting = false;
    this.#guard(() => this.handler?.drained());
  }

  /** A close frame came: the answer to ours, or the peer's own, which is answered by ending both. */
  #closedByPeer(code: number, reason: string): void {
    this.ending ??= { code, reason };
    const peer = this.peer;
    this.finish();
    peer?.finish();
  }

  #destroy(): void {
    const peer = this.peer;
    if (peer !== undefined) peer.ending ??= { code: 1006, reason: "" };
    this.finish();
    peer?.finish();
  }

  finish(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#closeTimer);
    this.#inbox = [];
    this.inboxBytes = 0;
    const { handler } = this;
    this.handler = undefined;
    this.#options.ended();
    const { code, reason } = this.ending ?? { code: 1006, reason: "" };
    try {
      handler?.closed(code, reason);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.onError(error);
      this.close(closeCodes.internal_error.number, closeCodes.internal_error.text);
    }
  }
}
