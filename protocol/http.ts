import { type Static, Type } from "typebox";

import { Wishes } from "./commands/login.ts";
import { Retain, Topic, TopicPosition } from "./commands/topics.ts";
import { Handler } from "./flow.ts";

/** Body of a 200 answer to `POST /auth/token`, as in Home Assistant. */
export const TokenResponse = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "Seconds until the access token ends." }),
  /** Always present with a code. With a refresh token, present only if the session rotates. */
  refresh_token: Type.Optional(Type.String()),
  /** What was granted, if the client is registered or asked for scopes. */
  scope: Type.Optional(Type.String()),
  /** With the scope `openid`. */
  id_token: Type.Optional(Type.String()),
  ha_auth_provider: Type.Optional(Type.String()),
});
export type TokenResponse = Static<typeof TokenResponse>;

/** Body of a 201 answer to `POST /auth/par` (RFC 9126 section 2.2). */
export const PushedRequestResponse = Type.Object({
  request_uri: Type.String(),
  expires_in: Type.Integer({ description: "Seconds within which the person must have logged in." }),
});
export type PushedRequestResponse = Static<typeof PushedRequestResponse>;

/** Body of a 200 answer to `POST /auth/device_authorization` (RFC 8628 section 3.2). */
export const DeviceAuthorizationResponse = Type.Object({
  device_code: Type.String(),
  user_code: Type.String(),
  verification_uri: Type.String(),
  verification_uri_complete: Type.String(),
  expires_in: Type.Integer({ description: "Seconds within which the person must have decided." }),
  interval: Type.Integer({ description: "Seconds between two polls." }),
});
export type DeviceAuthorizationResponse = Static<typeof DeviceAuthorizationResponse>;

/** The error of RFC 6749 section 5.2. */
export const OAuthError = Type.Object({
  error: Type.String(),
  error_description: Type.Optional(Type.String()),
});
export type OAuthError = Static<typeof OAuthError>;

/** Home Assistant's `json_message`: every other HTTP error. */
export const HttpMessage = Type.Object({ message: Type.String(), code: Type.Optional(Type.String()) });
export type HttpMessage = Static<typeof HttpMessage>;

/** Body of a 200 answer to `GET /auth/providers`. */
export const ProvidersResponse = Type.Object({
  providers: Type.Array(
    Type.Object({
      name: Type.String(),
      id: Type.Union([Type.String(), Type.Null()]),
      type: Type.String(),
    }),
  ),
  preselect_remember_me: Type.Boolean(),
});
export type ProvidersResponse = Static<typeof ProvidersResponse>;

/** Body of a 200 answer to `POST /auth/introspect` (RFC 7662 section 2.2). A token that is not good has `active` alone. */
export const IntrospectionResponse = Type.Object({
  active: Type.Boolean(),
  token_type: Type.Optional(Type.Literal("Bearer")),
  iss: Type.Optional(Type.String()),
  aud: Type.Optional(Type.String()),
  sub: Type.Optional(Type.String({ description: "The user's id." })),
  client_id: Type.Optional(Type.String()),
  scope: Type.Optional(Type.String({ description: "Absent: everything that the user may do." })),
  iat: Type.Optional(Type.Integer()),
  exp: Type.Optional(Type.Integer()),
  jti: Type.Optional(Type.String()),
  sid: Type.Optional(Type.String({ description: "The session's id." })),
  auth_time: Type.Optional(Type.Integer()),
  amr: Type.Optional(Type.Array(Type.String())),
  acr: Type.Optional(Type.String()),
  session_type: Type.Optional(Type.String()),
  local_only: Type.Optional(
    Type.Boolean({ description: "The token is good from some addresses only, which the caller must check." }),
  ),
});
export type IntrospectionResponse = Static<typeof IntrospectionResponse>;

/** Body of `POST /auth/login_flow`: Home Assistant's fields, and PKCE. */
export const LoginFlowRequest = Type.Object(
  {
    client_id: Type.String({ minLength: 1, maxLength: 512 }),
    handler: Handler,
    redirect_uri: Type.String({ minLength: 1, maxLength: 1024 }),
    type: Type.Optional(Type.Union([Type.Literal("authorize"), Type.Literal("link_user")])),
    code_challenge: Type.Optional(
      Type.String({ minLength: 43, maxLength: 43, pattern: "^[A-Za-z0-9_-]{43}$" }),
    ),
    code_challenge_method: Type.Optional(Type.Literal("S256")),
    response_type: Type.Optional(Type.Literal("code")),
    ...Wishes,
  },
  { additionalProperties: false },
);
export type LoginFlowRequest = Static<typeof LoginFlowRequest>;

/** Body of `POST /auth/login_flow/{id}`: the client id, and what the form was filled in with. */
export const LoginFlowInput = Type.Object({ client_id: Type.String({ minLength: 1, maxLength: 512 }) });
export type LoginFlowInput = Static<typeof LoginFlowInput>;

/** Body of `POST /auth/link_user`, as in Home Assistant. */
export const LinkUserRequest = Type.Object(
  {
    client_id: Type.String({ minLength: 1, maxLength: 512 }),
    code: Type.String({ minLength: 1, maxLength: 128 }),
  },
  { additionalProperties: false },
);
export type LinkUserRequest = Static<typeof LinkUserRequest>;

/** Body of `POST /api/gatehouse/topics/publish`. */
export const PublishRequest = Type.Object(
  {
    messages: Type.Array(
      Type.Object(
        { topic: Topic, data: Type.Unknown(), retain: Type.Optional(Retain) },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 100 },
    ),
  },
  { additionalProperties: false },
);
export type PublishRequest = Static<typeof PublishRequest>;

/** Body of its 200 answer: the position of each message. */
export const PublishResponse = Type.Object({ positions: Type.Array(TopicPosition) });
export type PublishResponse = Static<typeof PublishResponse>;

/** Body of `POST /api/onboarding/users`: Home Assistant's fields and Gatehouse's set-up code. */
export const OnboardingRequest = Type.Object(
  {
    setup_code: Type.String({ minLength: 1, maxLength: 128 }),
    name: Type.String({ minLength: 1, maxLength: 128 }),
    username: Type.String({ minLength: 1, maxLength: 128 }),
    password: Type.String({ minLength: 1, maxLength: 1024 }),
    client_id: Type.String({ minLength: 1, maxLength: 512 }),
    language: Type.Optional(Type.String({ maxLength: 32 })),
  },
  { additionalProperties: false },
);
export type OnboardingRequest = Static<typeof OnboardingRequest>;
