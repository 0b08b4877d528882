import { type Static, Type } from "typebox";

/** Body of a 200 answer to `POST /auth/token`, as in Home Assistant. */
export const TokenResponse = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "Seconds until the access token ends." }),
  /** Always present with a code. With a refresh token, present only if the session rotates. */
  refresh_token: Type.Optional(Type.String()),
  ha_auth_provider: Type.Optional(Type.String()),
});
export type TokenResponse = Static<typeof TokenResponse>;

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
