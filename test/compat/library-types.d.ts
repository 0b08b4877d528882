/** What the tests use of libraries that ship no types. */
declare module "passport-oauth2" {
  export default class OAuth2Strategy {
    constructor(options: object, verify: (...args: never[]) => void);
    authorizationParams: (options: object) => object;
  }
}

declare module "simple-oauth2" {
  interface AccessToken {
    readonly token: Readonly<Record<string, string>>;
    refresh(): Promise<AccessToken>;
    revokeAll(): Promise<void>;
  }
  export class AuthorizationCode {
    constructor(options: object);
    authorizeURL(parameters: object): string;
    getToken(parameters: object): Promise<AccessToken>;
  }
}
