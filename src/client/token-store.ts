/** What a client keeps between runs. */
export interface StoredTokens {
  readonly accessToken: string;
  /** Milliseconds since the epoch. */
  readonly accessTokenExpiresAt: number;
  /** Null for a long-lived token. */
  readonly refreshToken: string | null;
}

/**
 * Where tokens are kept; the application's choice. `save(null)` forgets them. A new refresh token is saved before it is
 * relied on, and the one before it stays good until then, so a crash in between logs nobody out.
 */
export interface TokenStore {
  load(): StoredTokens | null | Promise<StoredTokens | null>;
  save(tokens: StoredTokens | null): void | Promise<void>;
}

/** Tokens in memory: gone with the page or the process. */
export function createMemoryTokenStore(initial: StoredTokens | null = null): TokenStore {
  let tokens = initial;
  return {
    load: () => tokens,
    save(next) {
      tokens = next;
    },
  };
}

/** Tokens for a long-lived access token: nothing to refresh. */
export function longLivedToken(accessToken: string): TokenStore {
  return createMemoryTokenStore({
    accessToken,
    accessTokenExpiresAt: Number.POSITIVE_INFINITY,
    refreshToken: null,
  });
}

/** Forgets `refused`, unless other tokens (a login in another tab) took their place. A store that fails keeps them. */
export async function forgetTokens(store: TokenStore, refused: StoredTokens): Promise<void> {
  try {
    const stored = await store.load();
    if (stored?.accessToken === refused.accessToken) await store.save(null);
  } catch {
    // The server refuses them again at the next connect.
  }
}
