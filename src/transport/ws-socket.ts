import type { Socket as RawSocket } from "node:net";
import { TLSSocket } from "node:tls";
import { closeCodes } from "../../protocol/close-codes.ts";
import type { Frame } from "../codec/codec.ts";
import { noSeat, type Seated } from "../connection/seats.ts";
import type { SendResult, Socket, SocketHandler } from "../connection/socket.ts";
import { cutReason, sendableCode } from "./close-frame.ts";
import { closeFrame, controlFrame, dataFrame, opcodes } from "./ws-frame.ts";
import { type Breach, FrameReader, type FrameSink, type ReadLimits } from "./ws-frame-reader.ts";

/** What a socket needs of its listener. */
export interface SocketOwner {
  readonly onError: (error: unknown) => void;
  readonly limits: ReadLimits;
  forget(socket: WsSocket): void;
  /** Nothing more comes or goes on this connection: destroy it soon. */
  left(raw: RawSocket): void;
}

interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** How long a peer may take for its part of the closing handshake. */
export const CLOSE_TIMEOUT_MS = 2000;
/** Pings that may come in while earlier pongs are not yet taken by the client; one more ends the socket. */
const MAX_UNREAD_PONGS = 60;

const pingFrame = controlFrame(opcodes.ping, new Uint8Array());

const gate = Symbol("gate");

/** A connection after its upgrade. The listeners at the end are shared by all: none has a closure of its own. */
interface Upgraded extends RawSocket {
  [gate]?: WsSocket;
}

/** One WebSocket, from the 101 on, on its TCP or TLS connection. */
export class WsSocket implements Socket, Seated, FrameSink {
  seat = noSeat;
  readonly #raw: RawSocket;
  readonly #owner: SocketOwner;
  readonly #reader: FrameReader;
  #handler: SocketHandler | undefined;
  /** Until either side has begun to end it: nothing is sent and no message is handed on after that. */
  #open = true;
  /** Set once by whatever ended the socket first. */
  #ending: Ending | undefined;
  #drainAwaited = false;
  #unreadPongs = 0;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(raw: RawSocket, owner: SocketOwner) {
    this.#raw = raw;
    this.#owner = owner;
    this.#reader = new FrameReader(this, owner.limits);
    const upgraded: Upgraded = raw;
    upgraded[gate] = this;
    raw.setTimeout(0);
    raw.on("data", onData);
    raw.on("end", onEnd);
    raw.on("close", onClose);
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
    const raw = this.#raw;
    if (!this.#open || raw.destroyed) return "dropped";
    raw.write(dataFrame(frame));
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
    if (this.#open) this.#raw.write(pingFrame);
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
    this.#reader.read(chunk);
  }

  message(frame: Frame): void {
    if (!this.#open) return;
    try {
      this.#handler?.message(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  pinged(payload: Buffer): void {
    if (!this.#open) return;
    if (this.#unreadPongs >= MAX_UNREAD_PONGS) return void this.terminate();
    this.#unreadPongs += 1;
    this.#raw.write(controlFrame(opcodes.pong, payload), () => {
      this.#unreadPongs -= 1;
    });
  }

  ponged(): void {
    if (!this.#open) return;
    try {
      this.#handler?.pong();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The peer's close frame: its code and reason go back to it, unless ours was first. */
  closing(code: number, reason: string): void {
    this.#ending ??= { code, reason };
    if (this.#open) this.#sendClose(code === 1005 ? undefined : code, reason);
    if (!this.#raw.destroyed) this.#raw.end();
  }

  broken(breach: Breach): void {
    const ending = endings[breach];
    this.#ending ??= ending;
    if (this.#open) this.#sendClose(ending.code, "");
    if (!this.#raw.destroyed) this.#raw.end();
  }

  /** The peer sends nothing more, without having said why. */
  ended(): void {
    this.#open = false;
    const raw = this.#raw;
    // What `end` does when nothing waits to be sent, for a system call and several turns less. TLS says goodbye itself.
    if (raw.writableLength === 0 && !(raw instanceof TLSSocket)) return void this.#owner.left(raw);
    raw.end();
    this.#limitWait();
  }

  closed(): void {
    this.#open = false;
    clearTimeout(this.#closeTimer);
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
    this.#raw.write(closeFrame(code, reason));
    this.#limitWait();
  }

  /** A peer that does not do its part of the end, or does not even read ours, is not waited for. */
  #limitWait(): void {
    this.#closeTimer ??= setTimeout(() => this.#raw.destroy(), CLOSE_TIMEOUT_MS);
  }

  #drained(): void {
    this.#drainAwaited = false;
    if (!this.#open) return;
    try {
      this.#handler?.drained();
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
  this[gate]?.read(chunk);
}

function onEnd(this: Upgraded): void {
  this[gate]?.ended();
}

function onClose(this: Upgraded): void {
  this[gate]?.closed();
}

const endings: Readonly<Record<Breach, Ending>> = {
  protocol_error: endingNamed("protocol_error"),
  invalid_payload: endingNamed("invalid_payload"),
  message_too_big: endingNamed("message_too_big"),
  too_many_parts: { code: 1008, reason: "Too many fragments" },
};

function endingNamed(name: "message_too_big" | "invalid_payload" | "protocol_error"): Ending {
  return { code: closeCodes[name].number, reason: closeCodes[name].text };
}
