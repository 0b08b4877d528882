/**
 * `gatehouse-client/msgpack`: the other codec, in a module of its own, so that clients that use JSON do not load it.
 */
export { createMsgpackCodec } from "../codec/msgpack.ts";
