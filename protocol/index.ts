export * from "./close-codes.ts";
export { adminCommands, UserInfo } from "./commands/admin.ts";
export { authCommands, CurrentUser, RefreshTokenInfo } from "./commands/auth.ts";
export type { CommandContract, Guard, ParamsOf, ResultOf } from "./commands/define.ts";
export { GroupInfo, groupCommands } from "./commands/groups.ts";
export { type CommandType, commands, type Params, type Result } from "./commands/index.ts";
export { loginCommands, ProviderInfo } from "./commands/login.ts";
export { systemCommands } from "./commands/system.ts";
export {
  TopicEvent,
  TopicGap,
  TopicMessage,
  TopicSubscription,
  TopicSubscriptionEnded,
  topicCommands,
} from "./commands/topics.ts";
export * from "./errors.ts";
export * from "./features.ts";
export * from "./flow.ts";
export * from "./frames.ts";
export * from "./http.ts";
export { type JsonDocument, protocolFiles } from "./json-schemas.ts";
export { Policy, policyLimits } from "./policy.ts";
export * from "./subscriptions.ts";
