/** The public API by name: run a gateway inside a program, or build on its ports. */
export type { Authority } from "./auth/authority.ts";
export type { Clock } from "./auth/clock/clock.ts";
export { AuthError, type AuthErrorOptions } from "./auth/errors.ts";
export type {
  Credential,
  LogEvent,
  Peer,
  Principal,
  RevocationCause,
  Session,
  UpgradeHeaders,
  User,
} from "./auth/model.ts";
export type { KnownGroup } from "./auth/permissions/group-table.ts";
export type { Permissions, PermissionsReader, Verb } from "./auth/permissions/permissions.ts";
export type {
  ModuleProvider,
  ModuleStep,
  ModuleTools,
  ProviderModule,
} from "./auth/providers/module/provider-module.ts";
export type {
  LoginProvider,
  NewUsers,
  Profile,
  ProviderContext,
  ProviderSession,
  ProviderStep,
} from "./auth/providers/provider.ts";
export type { ProviderTools } from "./auth/providers/provider-type.ts";
export type { RevokeReceipt, RevokeTarget } from "./auth/revocation/receipt.ts";
export type { Revocation } from "./auth/revocation/revocation.ts";
export type {
  CommitOutcome,
  JsonObject,
  LogEntry,
  LogFollower,
  Step,
  Store,
  StoredRecord,
  StoreHealth,
} from "./auth/store.ts";
export type { Codec, Frame } from "./codec/codec.ts";
export type { CheckUpgrade, Socket, SocketHandler, UpgradeRequest } from "./connection/socket.ts";
export { createLog, type Log } from "./observability/log.ts";
export { effectiveConfig } from "./server/config/effective.ts";
export { type ConfigSources, defineConfig, loadConfig } from "./server/config/load.ts";
export { ConfigError, type Problem } from "./server/config/problems.ts";
export type { Config, ConfigInput } from "./server/config/schema.ts";
export type { ProvidersOf } from "./server/configured-providers.ts";
export { createGateway, type Gateway, type GatewayParts, type Started } from "./server/gateway.ts";
export {
  type OpenAuthority,
  type OpenAuthorityOptions,
  openAuthority,
} from "./server/open-authority.ts";
export { type RunOptions, runGateway } from "./server/process-signals.ts";
export { SecretError } from "./server/secret.ts";
