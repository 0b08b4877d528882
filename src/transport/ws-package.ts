import type { Writable } from "node:stream";

/**
 * What the `ws` package exports and its types (`@types/ws`) leave out: `lib/receiver.js` and `lib/sender.js` of the
 * pinned version. The fields with an underscore are the package's own state; `BoundedReceiver` alone touches them.
 */
declare module "ws" {
  interface ReceiverOptions {
    readonly isServer: boolean;
    /** Largest message in bytes; 0: no limit. */
    readonly maxPayload: number;
    /** Most frames of one message; 0: no limit. */
    readonly maxFragments: number;
    /** Most chunks that wait for the rest of a frame; 0: no limit. */
    readonly maxBufferedChunks: number;
  }

  /** Reads frames. Events: `message`, `ping`, `pong`, `conclude` (the close frame), `error` with a documented `code`. */
  class Receiver extends Writable {
    constructor(options: ReceiverOptions);
    /** Chunks that wait for the rest of a frame. */
    protected _buffers: Buffer[];
    /** Bytes of those chunks. */
    protected _bufferedBytes: number;
    /** The opcode of the message of which a frame came that was not its last; 0: none. */
    protected _fragmented: number;
    /** Payloads of the earlier frames of a message. */
    protected _fragments: Buffer[];
    /** Largest message in bytes. */
    protected _maxPayload: number;
    /** What comes next; the numbers are in `lib/receiver.js`. */
    protected _state: number;
    /** Reads the beginning of a frame. */
    protected getInfo(done: WriteDone): void;
    /** Reads until nothing is left, or until the state says that it is to go on later; then `done` is not called. */
    protected startLoop(done: WriteDone): void;
  }

  type WriteDone = (error?: Error | null) => void;

  interface FrameOptions {
    readonly fin: boolean;
    readonly mask: boolean;
    readonly opcode: number;
    readonly readOnly: boolean;
    readonly rsv1: boolean;
  }

  const Sender: {
    /** The frame in one or two parts: its header, and `data` where that is not empty. */
    frame(data: Buffer, options: FrameOptions): [Buffer] | [Buffer, Buffer];
  };
}
