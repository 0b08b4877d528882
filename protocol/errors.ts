/**
 * Every error code on the wire, as data. On the socket it is `error.code` of a `result`. Over HTTP it is the status
 * and, if `oauth` is given, the `error` of RFC 6749 section 5.2. Home Assistant's codes keep its spelling and text.
 */
export interface ErrorCode {
  /** Public text, used if there is no more exact one. Never holds input or a secret. */
  readonly text: string;
  /** HTTP status if the error ends an HTTP request. */
  readonly status: number;
  /** RFC 6749 error name at `/auth/token`. */
  readonly oauth?: string;
  /** True if the same request may succeed later, unchanged. */
  readonly retryable?: true;
}

export const errorCodes = {
  // The command phase (Home Assistant's spelling and text)
  invalid_format: { text: "Message incorrectly formatted.", status: 400, oauth: "invalid_request" },
  id_reuse: { text: "Identifier values have to increase.", status: 400 },
  unknown_command: { text: "Unknown command.", status: 400 },
  unauthorized: { text: "Unauthorized", status: 401 },
  not_found: { text: "Not found", status: 404 },
  not_allowed: { text: "Not allowed", status: 403 },
  not_supported: { text: "Not supported", status: 400 },
  home_assistant_error: { text: "Operation failed", status: 400 },
  timeout: { text: "Timeout", status: 503, retryable: true },
  unknown_error: { text: "Unknown error", status: 500 },
  only_owner: { text: "Only allowed as owner", status: 403 },
  not_system_user: { text: "Not allowed as system user", status: 403 },
  only_active_user: { text: "Only allowed as active user", status: 403 },

  // Home Assistant's auth commands
  invalid_token_id: { text: "Received invalid token", status: 400 },
  token_removing_error: { text: "During removal, an error was raised.", status: 500 },
  no_delete_self: { text: "Unable to delete your own account", status: 400 },
  cannot_modify_system_generated: { text: "Unable to update system generated users", status: 400 },
  cannot_deactivate_owner: { text: "Unable to deactivate the owner", status: 400 },
  system_generated: { text: "Cannot add login to a system generated user", status: 400 },
  user_not_found: { text: "User not found", status: 404 },
  credentials_not_found: { text: "Credentials not found", status: 404 },
  invalid_current_password: { text: "Invalid current password", status: 400 },
  username_already_exists: { text: "Username already exists", status: 409 },
  no_module: { text: "MFA module is not found", status: 404 },
  disable_failed: { text: "Cannot disable MFA Module", status: 400 },
  username_not_normalized: { text: "Username is not normalized", status: 400 },

  // Gatehouse's own codes
  unavailable: {
    text: "Temporarily unavailable",
    status: 503,
    oauth: "temporarily_unavailable",
    retryable: true,
  },
  overloaded: { text: "Too busy, try again", status: 503, oauth: "temporarily_unavailable", retryable: true },
  rate_limited: { text: "Too many requests", status: 429, oauth: "slow_down", retryable: true },
  conflict: { text: "Changed by somebody else meanwhile", status: 409, retryable: true },
  invalid_policy: { text: "Invalid policy", status: 400 },
  too_many_resources: { text: "Too many entities or devices", status: 409 },
  too_many_groups: { text: "Too many groups", status: 409 },
  invalid_group: { text: "Invalid group specified", status: 400 },
  invalid_password: { text: "Password does not meet the requirements", status: 400 },
  invalid_username: { text: "Username does not meet the requirements", status: 400 },
  too_many_tokens: { text: "Too many long-lived tokens", status: 409 },
  client_name_exists: { text: "Client name already exists", status: 409 },
  cannot_remove_owner: { text: "Unable to remove the owner", status: 400 },
  last_credential: { text: "Unable to remove the last login", status: 409 },
  credential_exists: { text: "User already has a credential of this provider", status: 409 },
  credential_in_use: { text: "Credential already linked", status: 400 },
  recent_login_required: { text: "Log in again to do this", status: 401 },
  step_up_failed: { text: "Nobody logged in again, so this was not done", status: 403 },
  invalid_client: { text: "Invalid client id", status: 400, oauth: "invalid_request" },
  invalid_client_authentication: {
    text: "Client authentication failed",
    status: 400,
    oauth: "invalid_client",
  },
  invalid_client_header: {
    text: "Client authentication in the Authorization header failed",
    status: 401,
    oauth: "invalid_client",
  },
  unauthorized_client: {
    text: "The client may not use this grant type",
    status: 400,
    oauth: "unauthorized_client",
  },
  client_exists: { text: "Client id already exists", status: 409 },
  client_configured: { text: "The client is set in the configuration", status: 409 },
  too_many_clients: { text: "Too many registered clients", status: 409 },
  invalid_scope: { text: "Invalid scope", status: 400, oauth: "invalid_scope" },
  insufficient_scope: { text: "The token's scope does not allow this", status: 403 },
  authorization_pending: {
    text: "Nobody has decided on the device yet",
    status: 400,
    oauth: "authorization_pending",
  },
  slow_down: { text: "The device asks too often", status: 400, oauth: "slow_down" },
  expired_token: { text: "The device code has expired", status: 400, oauth: "expired_token" },
  device_refused: { text: "A person refused the device", status: 400, oauth: "access_denied" },
  invalid_target: { text: "Invalid resource", status: 400, oauth: "invalid_target" },
  invalid_request_uri: {
    text: "The pushed request is unknown, used or over",
    status: 400,
    oauth: "invalid_request_uri",
  },
  unmet_authentication_requirements: {
    text: "No login here is as good as asked for",
    status: 400,
    oauth: "unmet_authentication_requirements",
  },
  invalid_redirect_uri: { text: "Invalid redirect URI", status: 403 },
  invalid_code: { text: "Invalid code", status: 400, oauth: "invalid_request" },
  invalid_grant: { text: "Refresh token is not valid", status: 400, oauth: "invalid_grant" },
  token_reused: { text: "Refresh token was used before", status: 400, oauth: "invalid_grant" },
  access_denied: { text: "User is not allowed", status: 403, oauth: "access_denied" },
  unsupported_grant_type: { text: "Unsupported grant type", status: 400, oauth: "unsupported_grant_type" },
  invalid_handler: { text: "Invalid handler specified", status: 404 },
  invalid_flow: { text: "Invalid flow specified", status: 404 },
  too_many_flows: { text: "Too many login flows", status: 429, retryable: true },
  onboarding_required: { text: "Onboarding not finished", status: 400 },
  onboarding_done: { text: "User step already done", status: 403 },
  invalid_setup_code: { text: "Invalid set-up code", status: 403 },
  invalid_origin: { text: "Origin is not allowed", status: 403 },
  token_in_url: { text: "Tokens are not accepted in the URL", status: 400 },
  payload_too_large: { text: "Request body is too large", status: 413 },
  method_not_allowed: { text: "Method not allowed", status: 405 },
  provider_unavailable: { text: "Login provider does not answer", status: 503, retryable: true },
  provider_error: { text: "Login provider gave a wrong answer", status: 502 },
  provider_refused: { text: "Login provider refused the login", status: 403 },
  invalid_return: { text: "This login was not started in this browser, or is over", status: 400 },
  invalid_logout_token: { text: "Invalid logout token", status: 400, oauth: "invalid_request" },
  upgrade_required: { text: "This address speaks WebSocket", status: 426 },
} as const satisfies Record<string, ErrorCode>;

export type ErrorName = keyof typeof errorCodes;

/** Codes that were used once and must not get a new meaning. */
export const retiredErrorCodes: readonly string[] = [];
