import type { Frame } from "../codec/codec.ts";

/**
 * What a transport gives up of the upgrade request: a plain copy, taken before anything is awaited (uWS's request
 * object is dead after that).
 */
export interface UpgradeRequest {
  readonly path: string;
  /** Without the leading `?`; empty when there is none. */
  readonly query: string;
  /** `name` in lower case; a repeated header is joined by ", ". */
  header(name: string): string | undefined;
  /** The TCP peer's address, IPv4-mapped IPv6 as IPv4, no zone. */
  readonly address: string;
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
  /** Handed to the kernel or buffered below the high-water mark. */
  | "sent"
  /** Buffered; the handler's `drained` follows when there is room again. Not lost. */
  | "queued"
  /** Not sent: the socket is closing or closed. */
  | "dropped";

/** One WebSocket as a transport offers it. All methods are inert after close; none throws. */
export interface Socket {
  /** A string goes out as one text frame, bytes as one binary frame, unchanged. */
  send(frame: Frame): SendResult;
  /** Bytes that were sent and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  ping(): void;
  /**
   * Starts the closing handshake, after what was sent. A reason of more than 123 bytes is cut at a character. If the
   * peer does not answer within 2 s the connection is destroyed.
   */
  close(code: number, reason: string): void;
  /** Destroys the connection now; `closed` follows with 1006. */
  terminate(): void;
}

/** One client's side of a socket: the transport calls it, never after `closed`. */
export interface SocketHandler {
  /** A whole message: text as string, binary as bytes that are only valid during the call. */
  message(frame: Frame): void;
  /** After "queued": there is room again. Sending from inside is allowed. */
  drained(): void;
  /** A ping came in; the transport answers it. Unsolicited ones cost work, so whoever listens may count them. */
  ping(): void;
  pong(): void;
  /**
   * So many more frames came in as parts of fragmented messages, in steps of some dozens. Reading them costs work, so whoever
   * listens may count them. A transport whose library hides fragments never calls it.
   */
  fragments(count: number): void;
  /** Exactly once. 1005 for a close frame without a code, 1006 for a connection that was lost. */
  closed(code: number, reason: string): void;
}

/** What a transport asks about every upgrade. Must not throw and must not wait. */
export type CheckUpgrade = (request: UpgradeRequest) => UpgradeDecision;
