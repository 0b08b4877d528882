/** What a client keeps between runs. */
export interface StoredTokens {
  readonly accessToken: string;
  /** Milliseconds since the epoch. */
  readonly accessTokenExpiresAt: number;
  /** Null for a long-lived token. */
  readonly refreshToken: string | null;
}

/**
 * Where tokens are kept; the application chooses. `save(null)` forgets them. A new refresh token is saved before it is
 * used, and the previous one stays valid until then. So a crash in between logs nobody out.
 */
export interface TokenStore {
  load(): StoredTokens | null | Promise<StoredTokens | null>;
  save(tokens: StoredTokens | null): void | Promise<void>;
}

/** Keeps tokens in memory; they are lost with the page or the process. */
export function createMemoryTokenStore(initial: StoredTokens | null = null): TokenStore {
  let tokens = initial;
  return {
    load: () => tokens,
    save(next) {
      tokens = next;
    },
  };
}

/** Holds a long-lived access token, which is never refreshed. */
export function longLivedToken(accessToken: string): TokenStore {
  return createMemoryTokenStore({
    accessToken,
    accessTokenExpiresAt: Number.POSITIVE_INFINITY,
    refreshToken: null,
  });
}

/** Holds the token of a system user, a refresh token that stays the same. Access tokens are kept in memory. */
export function systemToken(refreshToken: string): TokenStore {
  return createMemoryTokenStore({ accessToken: "", accessTokenExpiresAt: 0, refreshToken });
}

/**
 * Forgets `refused`, unless other tokens (a login in another tab) have replaced it. If the store fails, the tokens
 * stay.
 */
export async function forgetTokens(store: TokenStore, refused: StoredTokens): Promise<void> {
  try {
    const stored = await store.load();
    if (stored?.accessToken === refused.accessToken) await store.save(null);
  } catch {
    // The server refuses them again at the next connect.
  }
}
