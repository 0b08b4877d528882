/** A frame as a transport sends it: text for JSON, binary for msgpack. */
export type Frame = string | Uint8Array;

/** The message could not be decoded. The socket is closed with `close`. `reason` is for the log and holds no input. */
export class CodecError extends Error {
  readonly close: "invalid_payload" | "unsupported_frame" | "message_too_big";
  constructor(close: CodecError["close"], reason: string) {
    super(reason);
    this.name = "CodecError";
    this.close = close;
  }
}

/**
 * Encodes and decodes messages. Both codecs accept and refuse the same messages. They take plain data only (null,
 * boolean, finite number, string, array, object), nesting of at most `limits.depth` (checked before parsing), no
 * duplicate and no dangerous key (`__proto__`, `constructor`, `prototype`), integers within 2^53, one value in a frame.
 */
export interface Codec {
  readonly name: "json" | "msgpack";
  /** The WebSocket subprotocol that selects this codec. */
  readonly subprotocol: string;
  encode(message: unknown): Frame;
  /** The frame of `{id, type: "event", event}`, whose event `encode` made: many sockets get the same one. */
  encodeEvent(id: number, event: Frame): Frame;
  /** Joins frames that `encode` made into one frame: an array of the messages (coalescing). */
  join(frames: readonly Frame[]): Frame;
  /** Throws `CodecError`. The result is plain data and shares no memory with `data`. */
  decode(data: Frame): unknown;
}

export interface CodecOptions {
  /**
   * How many members all objects of a decoded frame may have together; one more is `invalid_payload`. No limit by
   * default: a client trusts its server.
   */
  readonly maxMembers?: number;
}
