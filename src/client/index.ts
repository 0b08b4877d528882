export { closeCodes, closeRule } from "../../protocol/close-codes.ts";
export type {
  ExternalStep,
  FlowStep,
  FormField,
  FormStep,
  Handler,
  ProgressStep,
  SessionGrant,
} from "../../protocol/flow.ts";
export type { Codec } from "../codec/codec.ts";
export { createJsonCodec } from "../codec/json.ts";
export type { ClientState, GatewayClientOptions } from "./client-options.ts";
export type { DeviceLogin } from "./device-login.ts";
export type { DeviceTokenStore } from "./device-store.ts";
export { type ClientErrorName, type CloseInfo, GatewayError } from "./errors.ts";
export { GatewayClient } from "./gateway-client.ts";
export type { LoginFlow } from "./login-flow.ts";
export type { WebSocketConstructor, WebSocketLike } from "./message-socket.ts";
export type { Scrypt } from "./scrypt.ts";
export { socketUrl } from "./socket-address.ts";
export type { StepUpHandler, StepUpRequest } from "./step-up.ts";
export type { SubscriptionEnd } from "./subscriptions.ts";
export {
  createMemoryTokenStore,
  longLivedToken,
  type StoredTokens,
  systemToken,
  type TokenStore,
} from "./token-store.ts";
export type { TopicMessage, TopicMessages, TopicOptions } from "./topics.ts";
