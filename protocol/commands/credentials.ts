import { type Static, Type } from "typebox";

import { AbortStep, FlowStep, Handler } from "../flow.ts";
import { command, FlowId, OpaqueId, UserInput } from "./define.ts";

/** A login of a user at a provider. */
export const CredentialInfo = Type.Object({
  credential_id: OpaqueId,
  auth_provider_type: Type.String(),
  auth_provider_id: Type.Union([Type.String(), Type.Null()]),
  /** Who the user is there: a login name, or what the provider has instead. */
  subject: Type.String(),
  created_at: Type.String({ format: "date-time" }),
  /** False: its provider is not configured any more, so it lets nobody in. */
  usable: Type.Boolean(),
});
export type CredentialInfo = Static<typeof CredentialInfo>;

const Credentials = Type.Object({ credentials: Type.Array(CredentialInfo) });

/** Users link further logins to themselves. Steps are those of a login. */
export const credentialCommands = {
  "auth/link/start": command("auth/link/start", "user", { handler: Handler }, FlowStep),
  "auth/link/step": command("auth/link/step", "user", { flow_id: FlowId, user_input: UserInput }, FlowStep),
  "auth/link/cancel": command("auth/link/cancel", "user", { flow_id: FlowId }, AbortStep),
  "auth/credentials/list": command("auth/credentials/list", "user", {}, Credentials),
  "auth/credentials/remove": command(
    "auth/credentials/remove",
    "user",
    { credential_id: OpaqueId },
    Type.Null(),
  ),
  "gatehouse/credentials/list": command(
    "gatehouse/credentials/list",
    "admin",
    { user_id: OpaqueId },
    Credentials,
  ),
  "gatehouse/credentials/remove": command(
    "gatehouse/credentials/remove",
    "admin",
    { user_id: OpaqueId, credential_id: OpaqueId },
    Type.Null(),
  ),
} as const;
