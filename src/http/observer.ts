import { AuthError } from "../auth/errors.ts";

/** One answered request. `route` is the pattern of the route table, never the path that was sent. */
export interface HttpAnswered {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
  /** The client's address, also behind trusted proxies. Null if it is not known. */
  readonly address: string | null;
  /** The code of protocol/errors.ts that ended the request. */
  readonly code?: string;
  /** What the client does not see: the private detail of that error. */
  readonly detail?: string;
}

/** A decision over HTTP about somebody's rights, for the audit record. */
export interface HttpDecision {
  readonly event:
    | "token_granted"
    | "token_refused"
    | "session_revoked"
    | "owner_created"
    | "owner_refused"
    /** A browser that came back from a login provider: whether its person confirmed, or why it got no further. */
    | "login_confirmed"
    | "login_not_confirmed"
    | "login_return_refused"
    /** A login provider ended sessions that it gave. */
    | "provider_logout"
    | "provider_logout_refused";
  readonly address: string | null;
  /** The OAuth grant type, if there is one. */
  readonly grant?: string;
  /** Why it was refused: a code of protocol/errors.ts. */
  readonly reason?: string;
  readonly detail?: string;
  readonly userId?: string;
  readonly sessionId?: string;
  readonly clientId?: string | null;
  readonly flowId?: string;
  /** How many sessions ended. */
  readonly sessions?: number;
}

/** What HTTP reports to log, metrics and audit. No member throws, and none waits. */
export interface HttpObserver {
  answered(answer: HttpAnswered): void;
  decided(decision: HttpDecision): void;
  /** A failure that no code of the table stands for: a defect of ours. */
  defect(error: unknown, route: string): void;
}

/** Why something was refused, for the record of the decision. */
export function reasonOf(
  error: unknown,
): Required<Pick<HttpDecision, "reason">> & Pick<HttpDecision, "detail"> {
  if (!(error instanceof AuthError)) return { reason: "unknown_error" };
  const { code: reason, detail } = error;
  return detail === undefined ? { reason } : { reason, detail };
}
