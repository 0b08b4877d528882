import type { Policy } from "../../protocol/policy.ts";
import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import type { User } from "../auth/model.ts";
import type { RevokeReceipt, RevokeTarget } from "../auth/revocation/receipt.ts";
import { type Output, table, timeText, UsageError } from "./output.ts";
import { confirmWithinMs, pendingNote, stateOf, stateWithin } from "./receipts.ts";
import { findUser } from "./users.ts";

/** Prints only the token, so that it can go into a variable or a file. */
export async function issueToken(
  authority: Authority,
  request: {
    readonly user: string;
    readonly name: string;
    readonly days: number;
    readonly policyFile?: string | undefined;
  },
  output: Output,
): Promise<void> {
  const user = await findUser(authority, request.user);
  const { session, accessToken } = await authority.sessions.openLongLived({
    userId: user.id,
    clientName: request.name,
    clientIcon: null,
    days: request.days,
    policy: await policyIn(request.policyFile),
  });
  output.result({ access_token: accessToken, session_id: session.id }, accessToken);
}

/** Loaded on demand: the schema of policies is compiled. */
export async function policyIn(file: string | undefined): Promise<Policy | undefined> {
  return file === undefined ? undefined : await (await import("./policy-file.ts")).readPolicyFile(file);
}

export async function listSessions(
  authority: Authority,
  nameOrId: string | undefined,
  output: Output,
): Promise<void> {
  const users = nameOrId === undefined ? await authority.users.list() : [await findUser(authority, nameOrId)];
  const perUser = await Promise.all(users.map((user) => sessionsOf(authority, user)));
  const listed = perUser.flat();
  const value = listed.map(({ session, username }) => ({
    id: session.id,
    user_id: session.userId,
    username,
    type: session.type,
    client_id: session.clientId,
    client_name: session.clientName,
    created_at: timeText(session.createdAt),
    last_used_at: session.lastUsedAt === null ? null : timeText(session.lastUsedAt),
    last_used_ip: session.lastUsedIp,
    expires_at: session.expiresAt === null ? null : timeText(session.expiresAt),
  }));
  const rows = listed.map(({ session, username }) => [
    session.id,
    username ?? session.userId,
    session.type,
    session.clientName ?? session.clientId ?? "-",
    session.lastUsedIp ?? "-",
    timeText(session.lastUsedAt),
    timeText(session.expiresAt),
  ]);
  output.result(value, table(["ID", "USER", "TYPE", "CLIENT", "ADDRESS", "LAST USED", "EXPIRES"], rows));
}

async function sessionsOf(authority: Authority, { id }: User) {
  const [sessions, username] = await Promise.all([
    authority.sessions.list(id),
    authority.localLogins.usernameOf(id),
  ]);
  return sessions.map((session) => ({ session, username }));
}

export interface RevokeFlags {
  readonly user?: string;
  readonly session?: string;
  readonly client?: string;
  readonly all?: true;
}

type RevokeWhat =
  | { readonly user: string }
  | { readonly session: string }
  | { readonly client: string }
  | { readonly all: true };

/** Throws `UsageError` unless exactly one is given. */
export function revokeTarget({ user, session, client, all }: RevokeFlags): RevokeWhat {
  const given: readonly (RevokeWhat | undefined)[] = [
    user === undefined ? undefined : { user },
    session === undefined ? undefined : { session },
    client === undefined ? undefined : { client },
    all === undefined ? undefined : { all },
  ];
  const [one, ...more] = given.filter((each) => each !== undefined);
  if (one !== undefined && more.length === 0) return one;
  throw new UsageError("give one of --user, --session, --client and --all");
}

/** Prints one line once the gateways have confirmed, or after two seconds. The revocation is durable by then. */
export async function revoke(authority: Authority, what: RevokeWhat, output: Output): Promise<void> {
  const { revocation } = authority;
  const receipt = await revocation.revoke(await targetOf(authority, what), "session_revoked");
  const state = await stateWithin(revocation, receipt, confirmWithinMs);
  const none = state.sessions === 0 ? ": there was none" : "";
  output.result(
    stateOf(state),
    `revoked ${countText(state, what)}${none}${pendingNote(state, " (--wait shows when)")}`,
  );
}

/**
 * Prints one line at once and one for each change, until no gateway serves what was revoked. Throws `timeout` if that
 * is not known within 60 s; the revocation stands.
 */
export async function revokeAndWait(authority: Authority, what: RevokeWhat, output: Output): Promise<void> {
  const { revocation } = authority;
  const receipt = await revocation.revoke(await targetOf(authority, what), "session_revoked");
  const show = (state: RevokeReceipt) => output.result(stateOf(state), stateText(state, what));
  let shown: string | undefined;
  revocation.watch(receipt.revocationId, (state) => {
    if (stateText(state, what) !== shown) show(state);
    shown = stateText(state, what);
  });
  const { effective } = await revocation.settled(receipt);
  if (effective === "pending")
    throw new AuthError("timeout", { detail: "not every gateway has confirmed the revocation" });
}

async function targetOf(authority: Authority, what: RevokeWhat): Promise<RevokeTarget> {
  if ("all" in what) return { kind: "all" };
  if ("client" in what) return { kind: "client", clientId: what.client };
  if ("user" in what) return { kind: "user", userId: (await findUser(authority, what.user)).id };
  const session = await authority.sessions.get(what.session);
  if (session === undefined) throw new AuthError("not_found", { publicMessage: "There is no such session" });
  return { kind: "sessions", userId: session.userId, sessionIds: [session.id] };
}

function stateText(receipt: RevokeReceipt, what: RevokeWhat): string {
  const { applied, pending, fenced } = receipt.nodes;
  const nodes = `gateways: ${applied} applied, ${pending} pending, ${fenced} fenced`;
  return `revoked ${countText(receipt, what)}; ${nodes}; held by ${receipt.durability}; effective: ${receipt.effective}`;
}

/** Sessions of a client, or of all, are not counted. */
function countText({ sessions }: RevokeReceipt, what: RevokeWhat): string {
  if (sessions === null)
    return "client" in what
      ? `every session of the client id ${what.client}, if there was any`
      : "every session";
  return `${sessions} session${sessions === 1 ? "" : "s"}`;
}
