import type { CommandContract, Guard, NeededScope } from "../../protocol/commands/define.ts";
import { type CommandType, commands, type Params, type Result } from "../../protocol/commands/index.ts";
import type { Authority } from "../auth/authority.ts";
import { allows } from "../auth/clients/scopes.ts";
import { AuthError } from "../auth/errors.ts";
import type { Principal } from "../auth/model.ts";
import { isOpenToNarrowed } from "../auth/permissions/narrowed-tokens.ts";
import type { answered, Command, Envelope } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { compileValidator } from "../connection/validator.ts";

type Answer<T extends CommandType> = Result<T> | typeof answered;

/**
 * The message fits its schema, and its sender has passed the guard. Throws `AuthError`. A handler that waits before it
 * reads or does anything calls `passGuard` after that: rights may be gone by then. It rejects as the guard does.
 */
export type CommandHandler<T extends CommandType> = (
  message: Params<T>,
  session: SocketSession,
  passGuard: () => Promise<void>,
) => Answer<T> | Promise<Answer<T>>;

/** What a guard asks. */
export interface GuardAuthority {
  readonly users: Pick<Authority["users"], "current">;
  readonly permissions: Pick<Authority["permissions"], "of">;
}

/**
 * A command of protocol/ with its handler. Guard and scope are the contract's. `user` holds for every session. `admin` and
 * `owner` are checked against the user as this node knows it now, never against the token. `admin` also lets those pass to
 * whom a group gives the command: what they may do with it the handler asks `delegates.ts`. The guard comes before the
 * schema: what a user may not ask for costs the same whatever its size.
 */
export function defineCommand<const T extends CommandType>(
  type: T,
  authority: GuardAuthority,
  handler: CommandHandler<T>,
): Command {
  const contract: CommandContract = commands[type];
  const shape = compileValidator(contract.params);
  const { scope } = contract;
  const handle: Handle = (message, session, passGuard = anybody) => {
    const problem = shape(message);
    if (problem !== undefined) throw new AuthError("invalid_format", { publicMessage: problem });
    return handler(message as Params<T>, session, passGuard);
  };
  const run = contract.guard === "user" ? unlessNarrowed(type, handle) : guarded(type, authority, handle);
  return { type, run: scope === null ? run : inScope(scope, run) };
}

type Handle = (message: Envelope, session: SocketSession, passGuard?: () => Promise<void>) => unknown;

const anybody = async () => undefined;

/** A token without scopes, as Home Assistant's clients have it, may do what its user may. */
function inScope(scope: Exclude<NeededScope, null>, run: Command["run"]): Command["run"] {
  return (message, session) => {
    const granted = session.principal.scope;
    if (granted !== null && !allows(granted, "api") && !allows(granted, scope))
      throw new AuthError("insufficient_scope");
    return run(message, session);
  };
}

/** Most commands would give whoever has a token with a policy another one without. */
function unlessNarrowed(type: CommandType, run: Command["run"]): Command["run"] {
  if (isOpenToNarrowed(type)) return run;
  return (message, session) => {
    if (session.principal.policy !== null) throw new AuthError("unauthorized");
    return run(message, session);
  };
}

function guarded(type: CommandType, authority: GuardAuthority, handle: Handle): Command["run"] {
  const { guard }: { readonly guard: Guard } = commands[type];
  if (guard !== "admin" && guard !== "owner")
    throw new TypeError(`no command of a session has guard ${guard}`);
  const passGuard = async (session: SocketSession) => {
    const allowed = await passes(guard, type, authority, session.principal);
    // The session may have been revoked while the user was looked up.
    if (!allowed || !session.live) throw new AuthError("unauthorized");
    // Or the socket was suspended: the node does not know any more whether the command may run.
    if (!session.mayRun)
      throw new AuthError("unavailable", { detail: "the socket was suspended before the command began" });
  };
  return async (message, session) => {
    await passGuard(session);
    return await handle(message, session, () => passGuard(session));
  };
}

async function passes(
  guard: "admin" | "owner",
  type: CommandType,
  { users, permissions }: GuardAuthority,
  principal: Principal,
): Promise<boolean> {
  if (!(await permissions.of(principal)).mayCommand(type)) return false;
  return guard === "admin" || (await users.current(principal.userId))?.isOwner === true;
}
