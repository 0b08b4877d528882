import { closeRule } from "../../protocol/close-codes.ts";
import type { RefreshGrant, SessionGrant } from "../../protocol/flow.ts";
import { GatewayError } from "./errors.ts";
import type { StoredTokens, TokenStore } from "./token-store.ts";
import type { CloseInfo, Wire } from "./wire.ts";

/** An access token with less than this left is refreshed instead of being shown. */
const MARGIN_MS = 5_000;

export interface AuthPhaseOptions {
  readonly tokens: TokenStore;
  readonly clientId: string | undefined;
  readonly timeoutMs: number;
  readonly now: () => number;
}

/**
 * Brings a fresh socket to `auth_ok` with the stored tokens: the access token while it lasts, the refresh token after
 * it, on the same socket. Throws `login_required` when only a login helps, and what closed the socket otherwise.
 */
export async function authenticate(
  wire: Wire,
  options: AuthPhaseOptions,
  refreshFirst: boolean,
): Promise<StoredTokens> {
  const stored = await options.tokens.load();
  if (stored === null) throw new GatewayError("login_required", "There are no tokens: log in first");
  const fresh = stored.accessTokenExpiresAt - options.now() > MARGIN_MS;
  if (stored.refreshToken !== null && (refreshFirst || !fresh)) {
    return await comeBack(wire, stored, options);
  }
  const authenticated = untilAuthenticated(wire);
  authenticated.catch(() => {});
  wire.send({ type: "auth", access_token: stored.accessToken });
  await withDeadline(authenticated, wire, options.timeoutMs);
  return stored;
}

async function comeBack(wire: Wire, stored: StoredTokens, options: AuthPhaseOptions): Promise<StoredTokens> {
  const authenticated = untilAuthenticated(wire);
  authenticated.catch(() => {});
  const message: Record<string, unknown> = { type: "auth/login/refresh", refresh_token: stored.refreshToken };
  if (options.clientId !== undefined) message.client_id = options.clientId;
  const grant = (await wire.request(message, options.timeoutMs).result.catch((error: unknown) => {
    throw asLoginRequired(error);
  })) as RefreshGrant;
  const next = refreshedTokens(stored, grant, options.now());
  await options.tokens.save(next);
  await withDeadline(authenticated, wire, options.timeoutMs);
  return next;
}

/** A refresh that is refused for good means: log in. What is retryable, or a lost socket, stays what it is. */
export function asLoginRequired(error: unknown): unknown {
  const final = ["invalid_grant", "token_reused", "access_denied", "invalid_client"];
  if (!(error instanceof GatewayError) || !final.includes(error.code)) return error;
  return new GatewayError("login_required", error.message, { cause: error });
}

export function refreshedTokens(stored: StoredTokens, grant: RefreshGrant, now: number): StoredTokens {
  return {
    accessToken: grant.access_token,
    accessTokenExpiresAt: now + grant.expires_in * 1000,
    refreshToken: grant.refresh_token ?? stored.refreshToken,
  };
}

export function grantedTokens(grant: SessionGrant, now: number): StoredTokens {
  return {
    accessToken: grant.access_token,
    accessTokenExpiresAt: now + grant.expires_in * 1000,
    refreshToken: grant.refresh_token,
  };
}

/** Settles at `auth_ok`, or rejects with the close that ends the attempt. Has no deadline of its own. */
export function untilAuthenticated(wire: Wire): Promise<void> {
  return new Promise((resolve, reject) => {
    wire.onMessage = (message) => {
      if (message.type === "auth_ok") resolve();
    };
    wire.closed.then((close) => reject(errorOfClose(close)), reject);
  });
}

/** Adds a deadline; at its end the socket is closed, so that nothing stays half done. */
export async function withDeadline(promise: Promise<void>, wire: Wire, timeoutMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new GatewayError("call_timeout", `No auth_ok within ${timeoutMs} ms`));
      wire.close();
    }, timeoutMs);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A close as an error whose code follows the rule of the close code's range. */
export function errorOfClose(close: CloseInfo): GatewayError {
  const rule = closeRule(close.code);
  const text = close.reason || `The connection was closed (${close.code})`;
  if (rule.need === "login") return new GatewayError("login_required", text, { close });
  if (rule.reconnect === "never") return new GatewayError("refused", text, { close });
  return new GatewayError("connection_lost", text, { close });
}
