import { adminCommands } from "./admin.ts";
import { administrationCommands } from "./administration.ts";
import { approvalCommands } from "./approvals.ts";
import { authCommands } from "./auth.ts";
import { clientCommands } from "./clients.ts";
import { credentialCommands } from "./credentials.ts";
import type { ParamsOf, ResultOf } from "./define.ts";
import { deviceCommands } from "./device.ts";
import { factorCommands } from "./factors.ts";
import { groupCommands } from "./groups.ts";
import { loginCommands } from "./login.ts";
import { passwordCommands } from "./passwords.ts";
import { permissionCommands } from "./permissions.ts";
import { presenceCommands } from "./presence.ts";
import { resourceCommands } from "./resources.ts";
import { revokeCommands } from "./revoke.ts";
import { stepUpCommands } from "./step-up.ts";
import { systemCommands } from "./system.ts";
import { throttleCommands } from "./throttles.ts";
import { topicCommands } from "./topics.ts";

/** Every command by type: those of the auth phase (guard `anyone`) and those after `auth_ok`. */
export const commands = {
  ...loginCommands,
  ...systemCommands,
  ...authCommands,
  ...adminCommands,
  ...stepUpCommands,
  ...credentialCommands,
  ...factorCommands,
  ...passwordCommands,
  ...approvalCommands,
  ...groupCommands,
  ...permissionCommands,
  ...resourceCommands,
  ...revokeCommands,
  ...administrationCommands,
  ...throttleCommands,
  ...clientCommands,
  ...deviceCommands,
  ...presenceCommands,
  ...topicCommands,
} as const;

export type CommandType = keyof typeof commands;
export type Params<T extends CommandType> = ParamsOf<(typeof commands)[T]>;
export type Result<T extends CommandType> = ResultOf<(typeof commands)[T]>;
