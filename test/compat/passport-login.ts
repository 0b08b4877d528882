import OAuth2Strategy from "passport-oauth2";

export interface LibraryApp {
  readonly url: string;
  readonly clientId: string;
  readonly secret: string;
  readonly callback: string;
  readonly resource?: string;
  /** Logs in at this address, and returns the code that comes back. */
  codeAt(address: URL): Promise<string>;
}

export interface PassportTokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** What Express' request has of it that the strategy reads. */
interface Request {
  readonly query: Readonly<Record<string, string>>;
  readonly session: object;
}

/** A login with passport-oauth2: the browser is sent away, comes back with a code, and the strategy has tokens. */
export async function passportLogin(app: LibraryApp): Promise<PassportTokens> {
  let tokens: PassportTokens | undefined;
  const verify = (
    accessToken: string,
    refreshToken: string,
    parameters: Readonly<Record<string, unknown>>,
    _: unknown,
    done: (error: unknown, user: object) => void,
  ) => {
    tokens = { accessToken, refreshToken, parameters };
    done(null, {});
  };
  const strategy = new OAuth2Strategy(
    {
      authorizationURL: `${app.url}/auth/authorize`,
      tokenURL: `${app.url}/auth/token`,
      clientID: app.clientId,
      clientSecret: app.secret,
      callbackURL: app.callback,
      scope: ["openid", "profile"],
      pkce: true,
      state: true,
    },
    verify,
  );
  const { resource } = app;
  if (resource !== undefined) strategy.authorizationParams = () => ({ resource });
  const session = {};
  const authenticate = (query: Request["query"]) =>
    new Promise<string>((resolve, reject) => {
      const outcomes = {
        redirect: resolve,
        success: () => resolve("success"),
        fail: (challenge: unknown) => reject(new Error(JSON.stringify(challenge))),
        error: reject,
      };
      Object.assign(Object.create(strategy), outcomes).authenticate({ query, session }, {});
    });
  const address = new URL(await authenticate({}));
  const state = address.searchParams.get("state") ?? "";
  await authenticate({ code: await app.codeAt(address), state });
  if (tokens === undefined) throw new Error("passport-oauth2 has no tokens");
  return tokens;
}
