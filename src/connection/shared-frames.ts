import type { Frame } from "../codec/codec.ts";

/** Frames that go to many sockets, in this order. What a transport writes for them is built once. */
export class SharedFrames {
  readonly frames: readonly Frame[];
  #build: ((frames: readonly Frame[]) => unknown) | undefined;
  #built: unknown;

  constructor(frames: readonly Frame[]) {
    this.frames = frames;
  }

  /** The frames as `build` makes them. A transport passes the same function for every socket. */
  as<Form>(build: (frames: readonly Frame[]) => Form): Form {
    if (this.#build !== build) {
      this.#built = build(this.frames);
      this.#build = build;
    }
    return this.#built as Form;
  }
}
