import type { Frame } from "../codec/codec.ts";
import type { SharedFrames } from "./shared-frames.ts";

/**
 * What a transport knows of an upgrade request: a plain copy. uWebSockets.js' own request object must not be used
 * after an `await`.
 */
export interface UpgradeRequest {
  readonly path: string;
  /** Without the leading `?`. Empty if there is none. */
  readonly query: string;
  /** `name` in lower case; a repeated header is joined by ", ". */
  header(name: string): string | undefined;
  /** Each value of a repeated header by itself, in order; one character a byte. */
  headerValues(name: string): readonly string[];
  /** The TCP peer's address, IPv4-mapped IPv6 as IPv4, no zone. */
  readonly address: string;
  /** See `Peer.channelBinding`. Of the TCP peer, who may be a proxy. */
  readonly channelBinding?: (() => Uint8Array | undefined) | undefined;
  /** What the client offered in Sec-WebSocket-Protocol, in order. */
  readonly subprotocols: readonly string[];
}

/** Answer to an upgrade: 101 with the chosen subprotocol, or an ordinary HTTP answer. */
export type UpgradeDecision =
  | {
      readonly accept: true;
      readonly subprotocol: string | undefined;
      readonly handler: (socket: Socket) => SocketHandler;
    }
  | {
      readonly accept: false;
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    };

export type SendResult =
  /** The kernel has it, or it is buffered below the high-water mark. */
  | "sent"
  /** Buffered. The handler's `drained` follows when there is room again. Nothing is lost. */
  | "queued"
  /** Not sent: the socket is closing or closed. */
  | "dropped";

/** One WebSocket as a transport offers it. After the close all methods do nothing. None throws. */
export interface Socket {
  /** A string goes out as one text frame, bytes as one binary frame, unchanged. */
  send(frame: Frame): SendResult;
  /** As `send` for each of them in order, in as few writes as the transport can. The result is that of the last. */
  sendShared(shared: SharedFrames): SendResult;
  /** Bytes that were sent and that the kernel has not taken yet. */
  readonly bufferedBytes: number;
  ping(): void;
  /**
   * From now on a message with more bytes closes the socket with 1009, over a network before it is whole, so that it takes no
   * memory. Before the first call the limit is the listener's. A transport whose library has one limit for all sockets does
   * nothing here.
   */
  limitMessages(bytes: number): void;
  /**
   * Starts the closing handshake, after what was sent. A reason of more than 123 bytes is cut between characters. If
   * the peer does not answer within 2 s, the connection is destroyed.
   */
  close(code: number, reason: string): void;
  /** Destroys the connection now. `closed` follows with 1006. */
  terminate(): void;
}

/** What the transport calls for one socket, never after `closed`. */
export interface SocketHandler {
  /** A whole message: text as a string, binary as bytes that are valid during the call only. */
  message(frame: Frame): void;
  /** After "queued": there is room again. Sending from inside is allowed. */
  drained(): void;
  /** A ping came in. The transport answers it. Pings cost work, so the handler may count them. */
  ping(): void;
  pong(): void;
  /**
   * So many more frames came in as parts of fragmented messages, in steps of some dozens. Reading them costs work,
   * so whoever listens may count them. A transport whose library hides fragments never calls it.
   */
  fragments(count: number): void;
  /** Called exactly once. 1005: a close frame without a code. 1006: the connection was lost. */
  closed(code: number, reason: string): void;
}

/** The decision on an upgrade. Must not throw and must not wait. */
export type CheckUpgrade = (request: UpgradeRequest) => UpgradeDecision;
