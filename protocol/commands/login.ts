import { type Static, Type } from "typebox";

import { AbortStep, FlowStep, Handler, RefreshGrant, SessionGrant } from "../flow.ts";
import { command, FlowId, Name, OpaqueId, Password, UserInput, Username } from "./define.ts";

export const ProviderInfo = Type.Object({
  name: Type.String(),
  type: Type.String(),
  id: Type.Union([Type.String(), Type.Null()]),
});
export type ProviderInfo = Static<typeof ProviderInfo>;

/** Exactly RFC 7636's 43 characters of base64url(SHA-256). */
const CodeChallenge = Type.String({ minLength: 43, maxLength: 43, pattern: "^[A-Za-z0-9_-]{43}$" });

/** What a client asks for beside a code or a session. Over HTTP too. */
export const Wishes = {
  scope: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 512,
      description: "Scopes, separated by spaces, that narrow what the tokens may do.",
    }),
  ),
  resource: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 512,
      description: "The backend that the tokens are for (RFC 8707); for codes.",
    }),
  ),
  nonce: Type.Optional(
    Type.String({ minLength: 1, maxLength: 512, description: "Returned in the ID token." }),
  ),
  acr_values: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 512,
      description:
        "Assurance levels that will do, separated by spaces (RFC 9470): the login has at least the lowest of them.",
    }),
  ),
  max_age: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description: "How long ago the person may have authenticated, in seconds (RFC 9470).",
    }),
  ),
  request_uri: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 128,
      description: "Of a pushed request (RFC 9126), which counts instead of the other fields of the client.",
    }),
  ),
};

export const DeviceStarted = Type.Object({
  /** The device's secret, for `auth/device/wait` on another socket. */
  device_code: Type.String(),
  /** What the person types, for instance `BCDF-GHJK`. */
  user_code: Type.String(),
  verification_uri: Type.String(),
  verification_uri_complete: Type.String(),
  expires_in: Type.Integer({ description: "Seconds within which the person must have decided." }),
});
export type DeviceStarted = Static<typeof DeviceStarted>;

/** What became of a device authorization, as an event. */
export const DeviceOutcome = Type.Union([
  Type.Object({ outcome: Type.Literal("approved"), session: SessionGrant }),
  Type.Object({ outcome: Type.Union([Type.Literal("refused"), Type.Literal("expired")]) }),
]);
export type DeviceOutcome = Static<typeof DeviceOutcome>;

/** Messages of the auth phase that carry an id and are answered with a `result`. */
export const loginCommands = {
  "auth/providers": command(
    "auth/providers",
    "anyone",
    {},
    Type.Object({ providers: Type.Array(ProviderInfo), onboarding_required: Type.Boolean() }),
  ),
  "auth/login/start": command(
    "auth/login/start",
    "anyone",
    {
      handler: Handler,
      /**
       * The id of a registered client, or a URL (IndieAuth). Required for a code, optional for a session.
       */
      client_id: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
      client_name: Type.Optional(Name),
      redirect_uri: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
      device_token: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 256,
          description:
            "What the last login on this device gave. It gives the device a budget of tries of its own.",
        }),
      ),
      mechanism: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 32,
          description: "A SCRAM mechanism, to answer the first form at once.",
        }),
      ),
      initial_response: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 1024,
          description: "The first message of the mechanism.",
        }),
      ),
      /** PKCE, S256 only. */
      code_challenge: Type.Optional(CodeChallenge),
      ...Wishes,
      for: Type.Optional(
        Type.Union([Type.Literal("session"), Type.Literal("code")], {
          default: "session",
          description:
            "`session` authenticates this socket; `code` gives an authorization code for `/auth/token`.",
        }),
      ),
    },
    FlowStep,
  ),
  "auth/login/step": command(
    "auth/login/step",
    "anyone",
    { flow_id: FlowId, user_input: UserInput },
    FlowStep,
  ),
  "auth/login/cancel": command("auth/login/cancel", "anyone", { flow_id: FlowId }, AbortStep),
  "auth/login/resume": command(
    "auth/login/resume",
    "anyone",
    { flow_id: FlowId, flow_secret: Type.String({ minLength: 1, maxLength: 128 }) },
    FlowStep,
  ),
  /**
   * Authenticates with a refresh token: new tokens, and `auth_ok` follows on this socket. So a client with an expired
   * access token needs no HTTP. Errors as at `/auth/token`: `invalid_grant` and `token_reused` mean that the session
   * has ended; the socket stays open for a new login.
   */
  "auth/login/refresh": command(
    "auth/login/refresh",
    "anyone",
    {
      refresh_token: Type.String({ minLength: 1, maxLength: 256 }),
      client_id: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
    },
    RefreshGrant,
  ),
  /**
   * Begins a device authorization (RFC 8628) and waits for it on this socket: when a person has decided, the outcome comes
   * as an event on this id, and `auth_ok` follows if it is a session.
   */
  "auth/device/start": command(
    "auth/device/start",
    "anyone",
    {
      client_id: Type.String({ minLength: 1, maxLength: 31 }),
      scope: Wishes.scope,
    },
    DeviceStarted,
  ),
  /** Waits, on this socket, for one that was begun on another socket or over HTTP. */
  "auth/device/wait": command(
    "auth/device/wait",
    "anyone",
    {
      client_id: Type.String({ minLength: 1, maxLength: 31 }),
      device_code: Type.String({ minLength: 1, maxLength: 128 }),
    },
    Type.Null(),
  ),
  /**
   * Creates the owner, once per installation, with the set-up code that the server printed, and logs this socket in.
   */
  "auth/onboarding/create_owner": command(
    "auth/onboarding/create_owner",
    "anyone",
    {
      setup_code: Type.String({ minLength: 1, maxLength: 128 }),
      name: Name,
      username: Username,
      password: Password,
      client_id: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
    },
    Type.Object({ user_id: OpaqueId, session: SessionGrant }),
  ),
} as const;
