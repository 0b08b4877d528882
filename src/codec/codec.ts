/** A frame as a transport sends it: text for JSON, binary for msgpack. */
export type Frame = string | Uint8Array;

/** The message could not be read. The socket is closed with `close`; `reason` is for the log, without input. */
export class CodecError extends Error {
  readonly close: "invalid_payload" | "unsupported_frame" | "message_too_big";
  constructor(close: CodecError["close"], reason: string) {
    super(reason);
    this.name = "CodecError";
    this.close = close;
  }
}

/**
 * Messages to frames and back. Both codecs give the same verdict on the same message: plain data only (null, boolean,
 * finite number, string, array, object), nesting of at most `limits.depth` found before parsing, no duplicate and no
 * poisoned key (`__proto__`, `constructor`, `prototype`), integers within 2^53, one value a frame.
 */
export interface Codec {
  readonly name: "json" | "msgpack";
  /** The WebSocket subprotocol that selects it. */
  readonly subprotocol: string;
  encode(message: unknown): Frame;
  /** One frame from several that `encode` made: an array of the messages (coalescing). */
  join(frames: readonly Frame[]): Frame;
  /** Throws `CodecError`. The result is plain data that shares no memory with `data`. */
  decode(data: Frame): unknown;
}

export interface CodecOptions {
  /**
   * Members of all objects of a frame that is decoded; one more is `invalid_payload`. No limit by default, as for a client,
   * which believes its server.
   */
  readonly maxMembers?: number;
}
