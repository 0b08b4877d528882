import { adminCommands } from "./admin.ts";
import { authCommands } from "./auth.ts";
import type { CommandContract, ParamsOf, ResultOf } from "./define.ts";
import { loginCommands } from "./login.ts";
import { revokeCommands } from "./revoke.ts";
import { systemCommands } from "./system.ts";

/** Every command by type: those of the auth phase (guard `anyone`) and those after `auth_ok`. */
export const commands = {
  ...loginCommands,
  ...systemCommands,
  ...authCommands,
  ...adminCommands,
  ...revokeCommands,
} as const;

export type CommandType = keyof typeof commands;
export type Params<T extends CommandType> = ParamsOf<(typeof commands)[T]>;
export type Result<T extends CommandType> = ResultOf<(typeof commands)[T]>;

/** True for a message that may be sent again on a new socket: only what declares itself a subscription. */
export function isSubscription(type: string): boolean {
  const all: Readonly<Record<string, CommandContract>> = commands;
  return Object.hasOwn(all, type) && all[type]?.subscription === true;
}
