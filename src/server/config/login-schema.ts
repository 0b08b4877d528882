import { Type } from "typebox";

const strict = { additionalProperties: false } as const;

export const approvals = Type.Object(
  {
    by: Type.Union([Type.Literal("owner"), Type.Literal("administrators")], {
      default: "owner",
      description:
        "Who may approve users who wait. `administrators`: every administrator, the owner included, and whoever a group gives these commands.",
    }),
    total: Type.Integer({
      default: 100,
      minimum: 1,
      maximum: 500,
      description: "Maximum of users who wait. A login beyond it ends with `approvals_full`.",
    }),
    per_provider: Type.Integer({
      default: 50,
      minimum: 1,
      maximum: 500,
      description: "The same, of one entry of `auth_providers`.",
    }),
    per_address: Type.Integer({
      default: 5,
      minimum: 1,
      maximum: 500,
      description: "The same, from one address (IPv6: one /64).",
    }),
    wait_days: Type.Integer({
      default: 7,
      minimum: 1,
      maximum: 365,
      description: "Days after the last login of a user who waits. Then the user is removed.",
    }),
  },
  strict,
);

export const tokens = Type.Object(
  {
    issuer: Type.Union([Type.String({ minLength: 1, maxLength: 512 }), Type.Null()], {
      default: null,
      description: "`iss` of access tokens. Null: `public_url`.",
    }),
    audience: Type.String({
      default: "gatehouse",
      minLength: 1,
      maxLength: 512,
      description: "`aud` of access tokens.",
    }),
    access_ttl_seconds: Type.Integer({
      default: 1800,
      minimum: 1,
      maximum: 86_400,
      description: "Life of an access token.",
    }),
    session_idle_days: Type.Integer({
      default: 90,
      minimum: 1,
      maximum: 3650,
      description: "A session ends after this many days without use.",
    }),
    recent_login_minutes: Type.Integer({
      default: 15,
      minimum: 1,
      maximum: 1440,
      description:
        "How long after a login its session may do what needs a recent one, for instance hand over the ownership.",
    }),
    rotate_for: Type.Array(Type.String({ maxLength: 512 }), {
      default: [],
      maxItems: 256,
      description:
        "Client ids whose refresh tokens rotate when they log in over HTTP. Never list Home Assistant's clients, which keep their first refresh token.",
    }),
  },
  strict,
);

export const password = Type.Object(
  {
    min_length: Type.Integer({
      default: 15,
      minimum: 8,
      maximum: 256,
      description:
        "Fewest characters of a new password. NIST SP 800-63B-4 demands 15, and allows 8 where everybody needs a second factor as well.",
    }),
    scrypt_n: Type.Integer({
      default: 131_072,
      minimum: 1024,
      maximum: 1_048_576,
      description:
        "scrypt's cost, a power of two. If you raise it, a stored password is upgraded the next time it is sent in the form. Passwords are proved without being sent only if the cost is at least N * r = 262144 and N * r * p = 786432, and at most N * r = 2097152 and N * r * p = 4194304.",
    }),
    scrypt_r: Type.Integer({ default: 8, minimum: 1, maximum: 32, description: "scrypt's block size." }),
    scrypt_p: Type.Integer({ default: 1, minimum: 1, maximum: 16, description: "scrypt's parallelism." }),
    workers: Type.Integer({
      default: 2,
      minimum: 1,
      maximum: 64,
      description: "Threads that hash passwords; each takes 128 * N * r bytes while it works.",
    }),
    queue: Type.Integer({
      default: 32,
      minimum: 1,
      maximum: 10_000,
      description:
        "Passwords that may wait for a thread; more are refused as `overloaded`. The same number of places is reserved in addition for users who are authenticated, or who logged in from the same address within 30 days.",
    }),
    queue_per_address: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 10_000,
      description: "Places of `password.queue` that one address may take.",
    }),
    tries_per_account_and_address: Type.Integer({
      default: 10,
      minimum: 1,
      maximum: 1_000_000,
      description:
        "Wrong passwords for one login name from one address (IPv6: one /64) before further attempts are refused; one attempt is restored every 2 minutes. A device that the name logged in on has as many tries of its own.",
    }),
    tries_per_account: Type.Integer({
      default: 20,
      minimum: 1,
      maximum: 1_000_000,
      description:
        "The same for one login name, from all addresses that it has not logged in from within 30 days, and all devices that it has not logged in on; one attempt is restored every 30 seconds.",
    }),
    tries_per_address: Type.Integer({
      default: 50,
      minimum: 1,
      maximum: 1_000_000,
      description:
        "The same for one address, at all login names that have not logged in from there within 30 days; one attempt is restored every 10 seconds.",
    }),
  },
  strict,
);
