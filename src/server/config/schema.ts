import { type Static, Type } from "typebox";

import { ClientEntry } from "../../auth/clients/client-entry.ts";
import { FactorEntry } from "../../auth/factors/factor-types.ts";
import type { Frozen } from "../../auth/providers/provider-type.ts";
import { ProviderEntry } from "../../auth/providers/provider-types.ts";
import { approvals, password, tokens } from "./login-schema.ts";
import { stepUp } from "./step-up-schema.ts";
import { topics } from "./topics-schema.ts";

/**
 * Every option once: type and bounds, default, and meaning. Types, validation, environment names and the tables of options
 * are derived from this. Names of times include their unit.
 */
const strict = { additionalProperties: false } as const;

const listen = {
  host: Type.String({
    default: "127.0.0.1",
    minLength: 1,
    maxLength: 255,
    description: "Address to listen on; `0.0.0.0` or `::` for all of them.",
  }),
  port: Type.Integer({
    default: 8123,
    minimum: 0,
    maximum: 65_535,
    description: "Port to listen on; 0 takes any free one.",
  }),
  transport: Type.Union([Type.Literal("ws"), Type.Literal("uws")], {
    default: "ws",
    description: "`ws` runs everywhere; `uws` (uWebSockets.js) costs less per socket.",
  }),
  public_url: Type.Union([Type.String({ minLength: 1, maxLength: 512 }), Type.Null()], {
    default: null,
    description:
      "URL at which clients reach the gateway; it may have a path, which the proxy then removes. Null: made from host and port. Set it behind a proxy, because it is the issuer of tokens, and its origin is that of the gateway's own pages.",
  }),
  tls_cert_file: Type.Union([Type.String({ minLength: 1, maxLength: 1024 }), Type.Null()], {
    default: null,
    description:
      "PEM file with the TLS certificate and its chain, the gateway's own certificate first; read again at SIGHUP. Null: no TLS.",
  }),
  tls_key_file: Type.Union([Type.String({ minLength: 1, maxLength: 1024 }), Type.Null()], {
    default: null,
    description: "PEM file with the private key of that certificate, without a passphrase.",
  }),
  trusted_proxies: Type.Array(Type.String({ maxLength: 64 }), {
    default: [],
    maxItems: 64,
    description:
      "Addresses and CIDR networks of proxies whose `X-Forwarded-For` or `Forwarded` is trusted. The header is read from the right, up to the first address that is not listed. If anybody else sends such a header, the request's address is unknown, and counts as not local.",
  }),
  origins: Type.Array(Type.String({ maxLength: 256 }), {
    default: [],
    maxItems: 256,
    description:
      "Further web origins whose pages may open a socket, load the login element, and use `/auth/providers` and `/auth/login_flow`; `*` for all. The gateway's own origin always may: that of `public_url`, or the request's `Host` if `public_url` is null.",
  }),
};

const storage = {
  data: Type.String({
    default: "./data",
    minLength: 1,
    maxLength: 1024,
    description: "Folder of the embedded store and of the installation's secret.",
  }),
  store: Type.Union([Type.String({ minLength: 1, maxLength: 2048 }), Type.Null()], {
    default: null,
    description:
      "URL of a Redis store (`redis://`, `rediss://`, `redis+sentinel://`, `redis+cluster://`). Null: embedded, in `data`.",
  }),
  store_timeout_ms: Type.Integer({
    default: 250,
    minimum: 10,
    maximum: 60_000,
    description: "How long one store call may take before it counts as unavailable.",
  }),
  secret: Type.Union([Type.String({ minLength: 32, maxLength: 1024 }), Type.Null()], {
    default: null,
    description:
      "The installation's secret, the same on every node; environment only. Null: read from `secret_file`.",
  }),
  secret_file: Type.Union([Type.String({ minLength: 1, maxLength: 1024 }), Type.Null()], {
    default: null,
    description:
      "File that holds the secret. Null: `secret.key` in `data`, made with mode 0600 at the first start.",
  }),
};

const login = {
  auth_providers: Type.Array(ProviderEntry, {
    default: [{ type: "homeassistant" }],
    minItems: 1,
    maxItems: 64,
    description:
      "The ways to log in, in the order in which clients show them: a list of `{type, id?, name?}`, with further options of the type (see [login providers](../README.md#login-providers)). `homeassistant` has login names and passwords of this installation. Entries of one type need different ids; one of them may have none. A login belongs to the type and the id of its entry: if you give an entry another id, its logins no longer work. The set-up manages the logins of the first `homeassistant`, and so do commands that name no other: `auth_provider_id` on the socket, `--provider` on the command line. In the environment, write the list as JSON.",
  }),
  auth_mfa_modules: Type.Array(FactorEntry, {
    default: [{ type: "totp" }, { type: "recovery" }],
    maxItems: 16,
    description:
      "The second factors that people can set up, in the order in which clients show them: a list of `{type, id?, name?}`, with further options of the type (see [second factors](../src/auth/factors/README.md)). `totp` has the codes of an authenticator app; its `issuer` is what the app shows. `notify` has codes that a webhook or a program of yours sends. `webauthn` has passkeys and security keys; it needs pages at a host name, over TLS or at `localhost`. `recovery` has codes for the day on which another factor is lost. An `id` is the type by default, and no two entries have the same. What people have set up belongs to it: if you remove an entry, or give it another id, they cannot log in until an administrator resets their factors. Every node needs the same list. In the environment, write the list as JSON.",
  }),
  read_client_pages: Type.Boolean({
    default: false,
    description:
      "Whether redirect URIs of clients that nobody registered are also read from the page or document at their client id, as Home Assistant does. Strangers then make the gateway send requests: only over TLS, only to addresses on the public Internet, and eight at once.",
  }),
  clients: Type.Array(ClientEntry, {
    default: [],
    maxItems: 256,
    description:
      "Registered clients: applications with an id of their own, exact redirect URIs, and scopes (see [registered clients](../README.md#registered-clients)). More can be registered on the socket and by the command line. If one is removed here, or may do less, its sessions end at the next start. In the environment, write the list as JSON.",
  }),
};

const limits = Type.Object(
  {
    sockets: Type.Integer({
      default: 100_000,
      minimum: 1,
      maximum: 10_000_000,
      description: "Maximum of open sockets of the node.",
    }),
    unauthenticated: Type.Integer({
      default: 20_000,
      minimum: 1,
      maximum: 10_000_000,
      description: "Maximum of open sockets that are not authenticated yet.",
    }),
    unauthenticated_per_address: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 10_000_000,
      description: "The same, from one address (IPv6: one /64).",
    }),
    unauthenticated_loop_ms_per_second: Type.Integer({
      default: 250,
      minimum: 10,
      maximum: 10_000,
      description:
        "Milliseconds of the event loop per second that one address may use with login messages, failed tokens and HTTP requests. It may use eight seconds' worth at once. More is refused as `rate_limited`.",
    }),
    http_requests_per_address: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 10_000_000,
      description: "HTTP requests of one address (IPv6: one /64) that may be in progress at once.",
    }),
    sockets_per_session: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 10_000_000,
      description: "Authenticated sockets of one session at one node; one more is closed with 4106.",
    }),
    sockets_per_user: Type.Integer({
      default: 10_000,
      minimum: 1,
      maximum: 10_000_000,
      description: "Authenticated sockets of one user at one node; one more is closed with 4106.",
    }),
    sessions_per_user: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 1_000_000,
      description:
        "Maximum of sessions of one user. A login beyond it ends those that were unused for longest, a twentieth of this number and at least one.",
    }),
    long_lived_tokens_per_user: Type.Integer({
      default: 500,
      minimum: 1,
      maximum: 1_000_000,
      description: "Maximum of long-lived tokens of one user; one more is refused as `too_many_tokens`.",
    }),
    messages_per_second: Type.Integer({
      default: 200,
      minimum: 1,
      maximum: 1_000_000,
      description: "Messages that one authenticated socket may send, on average.",
    }),
    messages_per_second_per_user: Type.Integer({
      default: 2_000,
      minimum: 1,
      maximum: 10_000_000,
      description:
        "Messages that all sockets of one user on a node may send together, on average. Raise it for a service that works for many people as one user.",
    }),
    outbox_bytes: Type.Integer({
      default: 1_048_576,
      minimum: 4096,
      maximum: 1_073_741_824,
      description:
        "Bytes that may wait for a slow client, beside one message of any size; more closes its socket.",
    }),
    http_body_bytes: Type.Integer({
      default: 65_536,
      minimum: 4096,
      maximum: 16_777_216,
      description: "Largest body of an HTTP request.",
    }),
    http_keep_alive_ms: Type.Integer({
      default: 75_000,
      minimum: 1000,
      maximum: 3_600_000,
      description:
        "How long an HTTP connection is kept without a request. Set it longer than a load balancer in front keeps its connections (usually 60 s), or requests are lost. `uws` keeps none.",
    }),
    shutdown_grace_ms: Type.Integer({
      default: 10_000,
      minimum: 0,
      maximum: 600_000,
      description: "How long a stop waits for sockets and requests to finish.",
    }),
  },
  strict,
);

const revocation = Type.Object(
  {
    policy: Type.Union([Type.Literal("suspend"), Type.Literal("close"), Type.Literal("serve_until_exp")], {
      default: "suspend",
      description:
        "What happens to sockets while the store cannot say what was revoked. `suspend`: they wait; an outage under 60 s closes none. `close`: they are closed and their clients reconnect, all at once; for clients that cannot wait. `serve_until_exp`: they are served until their access token ends; a revocation during an outage may take that long to take effect.",
    }),
  },
  strict,
);

const metrics = Type.Object(
  {
    enabled: Type.Boolean({ default: true, description: "Serve `/metrics` in Prometheus' format." }),
    readers: Type.Array(Type.String({ maxLength: 64 }), {
      default: ["127.0.0.0/8", "::1/128"],
      maxItems: 64,
      description: "Addresses and CIDR networks that may read `/metrics`.",
    }),
  },
  strict,
);

const log = Type.Object(
  {
    level: Type.Union(
      [
        Type.Literal("fatal"),
        Type.Literal("error"),
        Type.Literal("warn"),
        Type.Literal("info"),
        Type.Literal("debug"),
        Type.Literal("silent"),
      ],
      { default: "info", description: "Minimum level that is written." },
    ),
    audit: Type.Boolean({
      default: true,
      description:
        "Write one record for every authentication decision, change of rights and revocation, with who asked for it.",
    }),
  },
  strict,
);

export const ConfigSchema = Type.Object(
  {
    ...listen,
    ...storage,
    ...login,
    approvals,
    tokens,
    step_up: stepUp,
    password,
    revocation,
    limits,
    topics,
    metrics,
    log,
  },
  strict,
);

type Partially<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [Key in keyof T]?: Partially<T[Key]> | undefined }
    : T;

/** The whole configuration: validated, complete, frozen. */
export type Config = Frozen<Static<typeof ConfigSchema>>;
/** The configuration as an author writes it: any part of it. */
export type ConfigInput = Partially<Config>;

/**
 * Options that may only come from the environment or from code: files may be shared, and flags are visible in the
 * process list.
 */
export const environmentOnly: ReadonlySet<string> = new Set(["secret"]);
