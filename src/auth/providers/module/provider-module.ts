import type { TSchema } from "typebox";

import type { AuthErrorOptions } from "../../errors.ts";
import { AuthError } from "../../errors.ts";
import type { Credential, Peer, User } from "../../model.ts";
import { mayLogIn } from "../../users/account-status.ts";
import { normaliseLoginName } from "../homeassistant/login-name.ts";
import type { LoginProvider, ProviderContext, ProviderStep } from "../provider.ts";
import type { ProviderTools } from "../provider-type.ts";

/**
 * What a module's default export is, for an entry `{type: module, path, options}` of `auth_providers`. It runs in the
 * gateway's process, with the gateway's rights.
 */
export interface ProviderModule<Options = unknown> {
  /** JSON Schema of the entry's `options`. They are checked before `create` is called; without it there are none. */
  readonly options?: TSchema | Readonly<Record<string, unknown>>;
  /**
   * Called at each start of a gateway, with what the entry says. It must not wait: the module itself may, while it
   * is loaded.
   */
  create(options: Options, tools: ModuleTools): ModuleProvider;
}

/** Type, id and name come from the entry. */
export type ModuleProvider = Omit<
  LoginProvider,
  "type" | "id" | "name" | "begin" | "advance" | "supportsMfa"
> & {
  /** Default: true. */
  readonly supportsMfa?: boolean | undefined;
  begin(context: ProviderContext): Promise<ModuleStep> | ModuleStep;
  advance(
    stepId: string,
    input: Readonly<Record<string, unknown>>,
    state: Readonly<Record<string, unknown>>,
    context: ProviderContext,
  ): Promise<ModuleStep> | ModuleStep;
};

/** As `ProviderStep`. A login that was decided on no records leaves `evidence` out. */
export type ModuleStep = Exclude<ProviderStep, { kind: "done" }> | ModuleDone;
type Done = Extract<ProviderStep, { kind: "done" }>;
type ModuleDone = Omit<Done, "evidence" | "providerSession"> & { readonly evidence?: Done["evidence"] };

/** What a module may use of the gateway, so that it need not import it. */
export interface ModuleTools {
  /** The credential of this entry that has this subject. */
  findCredential(subject: string): Promise<Credential | undefined>;
  readUser(userId: string): Promise<User | undefined>;
  /** Not deactivated, not pending, no system user, and at a local address if local-only. */
  mayLogIn(user: User, peer: Peer): boolean;
  /** For `guessedName`: one text for all spellings of a name. */
  normaliseLoginName(name: string): string;
  /**
   * An error that the client gets with this code, for instance `unavailable`. `detail` is for the log only. Every other
   * error that a step throws is `unknown_error` for the client, and is logged as the module's fault.
   */
  error(code: AuthError["code"], options?: AuthErrorOptions): AuthError;
}

export function moduleTools(
  { credentials, users }: Pick<ProviderTools, "credentials" | "users">,
  type: string,
  id: string | null,
): ModuleTools {
  return {
    findCredential: async (subject) => (await credentials.find(type, id, subject))?.credential,
    readUser: async (userId) => (await users.read(userId))?.user,
    mayLogIn,
    normaliseLoginName,
    error: (code, options) => new AuthError(code, options),
  };
}
