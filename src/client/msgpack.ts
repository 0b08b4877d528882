/** `gatehouse-client/msgpack`: the other codec, apart from the client so that who speaks JSON loads JSON only. */
export { createMsgpackCodec } from "../codec/msgpack.ts";
