import type { RefreshGrant, SessionGrant, StepUpGrant } from "../../protocol/flow.ts";
import { GatewayError } from "./errors.ts";
import type { MessageSocket } from "./message-socket.ts";
import type { StoredTokens, TokenStore } from "./token-store.ts";

/** An access token with less time left than this, ms, is refreshed before use. */
const marginMs = 5_000;

export interface AuthPhaseOptions {
  readonly tokens: TokenStore;
  readonly clientId: string | undefined;
  readonly timeoutMs: number;
  readonly now: () => number;
  /** The server found the access token expired, whatever our clock says. */
  readonly refreshFirst: boolean;
}

/**
 * Authenticates a new socket with `stored`: with the access token while it lasts, then with the refresh token on the
 * same socket. Throws `login_required` if only a login helps; otherwise the error that closed the socket.
 */
export async function authenticate(
  socket: MessageSocket,
  stored: StoredTokens,
  options: AuthPhaseOptions,
): Promise<StoredTokens> {
  const fresh = stored.accessTokenExpiresAt - options.now() > marginMs;
  if (stored.refreshToken !== null && (options.refreshFirst || !fresh))
    return await authenticateByRefresh(socket, stored, options);
  socket.send({ type: "auth", access_token: stored.accessToken });
  await untilAuthenticated(socket, options.timeoutMs);
  return stored;
}

async function authenticateByRefresh(
  socket: MessageSocket,
  stored: StoredTokens,
  options: AuthPhaseOptions,
): Promise<StoredTokens> {
  const message: Record<string, unknown> = { type: "auth/login/refresh", refresh_token: stored.refreshToken };
  if (options.clientId !== undefined) message.client_id = options.clientId;
  const grant = (await socket.request(message, options.timeoutMs).result.catch((error: unknown) => {
    throw asLoginRequired(error);
  })) as RefreshGrant;
  const next = refreshedTokens(stored, grant, options.now());
  await options.tokens.save(next);
  await untilAuthenticated(socket, options.timeoutMs);
  return next;
}

/**
 * New tokens by `auth/refresh` on an authenticated socket. Undefined if the stored ones changed meanwhile, by a logout, another
 * login or another tab: those are newer. Throws `login_required` if the session has ended.
 */
export async function refreshOnSocket(
  socket: MessageSocket,
  tokens: TokenStore,
  timeoutMs: number,
): Promise<StoredTokens | undefined> {
  const stored = await tokens.load();
  if (stored?.refreshToken == null) throw new GatewayError("login_required", "There is no refresh token");
  const { refreshToken } = stored;
  const message = { type: "auth/refresh", refresh_token: refreshToken };
  const grant = (await socket.request(message, timeoutMs).result.catch((error: unknown) => {
    throw asLoginRequired(error);
  })) as RefreshGrant;
  const next = refreshedTokens(stored, grant, Date.now());
  return (await tokens.load())?.refreshToken === refreshToken ? next : undefined;
}

/** A refresh that is refused for good becomes `login_required`. A retryable error or a lost socket stays as it is. */
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

/** Resolves with `auth_ok`, or rejects. A socket that is late is closed, so that no half-authenticated socket stays. */
export async function untilAuthenticated(socket: MessageSocket, timeoutMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new GatewayError("call_timeout", `No auth_ok within ${timeoutMs} ms`));
      socket.close();
    }, timeoutMs);
  });
  await Promise.race([socket.authenticated, late]).finally(() => clearTimeout(timer));
}

/** Keeps the access token that says what was proved. Not if the tokens were forgotten meanwhile. */
export async function keepRaised(tokens: TokenStore, token: StepUpGrant): Promise<void> {
  const stored = await tokens.load();
  if (stored === null) return;
  const accessTokenExpiresAt = Date.now() + token.expires_in * 1000;
  await tokens.save({ ...stored, accessToken: token.access_token, accessTokenExpiresAt });
}
