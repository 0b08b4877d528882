import { isBelow } from "../factors/assurance.ts";
import type { Peer } from "../model.ts";
import { refuseBlockedUser } from "../users/account-status.ts";
import { readUserStatus } from "../users/user-record.ts";
import { refuseUnlessAdmitted, type SessionTools } from "./open-session.ts";
import { findSession } from "./session-reading.ts";
import { highestEpoch } from "./session-record.ts";
import type { TokenGrant } from "./sessions.ts";

/** See `Sessions`. A revocation after the read raises an epoch over that of the token, so the token is refused. */
export async function issueAccessToken(
  tools: SessionTools,
  sessionId: string,
  { scope, resource, peer }: { scope: string | null; resource: string | null; peer: Peer },
): Promise<TokenGrant | undefined> {
  const found = await findSession(tools, sessionId);
  if (found?.state !== "live") return undefined;
  const status = await readUserStatus(tools.store, found.session.userId);
  if (status === undefined) return undefined;
  refuseBlockedUser(status.user, peer);
  if (isBelow(found.session, await tools.assurance.demandOn(found.session.userId))) return undefined;
  const session = { ...found.session, scope, resource };
  refuseUnlessAdmitted(tools.providers, session, peer);
  const { token, principal } = await tools.accessTokens.mint(
    session,
    status.user,
    highestEpoch(found.epochs),
  );
  return { session, accessToken: token, principal };
}
