/**
 * Every close code of a Gatehouse server, as data. The number's range tells a client what to do next:
 *
 * | range | reconnect | first needs |
 * | --------- | ----------------------------- | ----------- |
 * | 4000-4099 | now | nothing |
 * | 4100-4199 | after a back-off | nothing |
 * | 4200-4299 | now | a refresh |
 * | 4300-4399 | never with these credentials | a login |
 * | 4400-4499 | never | nothing |
 *
 * The standard codes below 4000 keep their RFC 6455 meaning; the table states the rule of each.
 */
export type Reconnect = "now" | "after" | "never";
export type Need = "nothing" | "refresh" | "login";

export interface CloseCode {
  readonly number: number;
  /** The reason text on the close frame: at most 123 bytes of UTF-8. */
  readonly text: string;
  readonly reconnect: Reconnect;
  readonly need: Need;
}

export const closeCodes = {
  normal: { number: 1000, text: "Closed", reconnect: "after", need: "nothing" },
  going_away: { number: 1001, text: "Server is stopping", reconnect: "after", need: "nothing" },
  protocol_error: { number: 1002, text: "WebSocket protocol error", reconnect: "never", need: "nothing" },
  unsupported_frame: {
    number: 1003,
    text: "Frame kind does not fit the subprotocol",
    reconnect: "never",
    need: "nothing",
  },
  invalid_payload: {
    number: 1007,
    text: "Message could not be decoded",
    reconnect: "never",
    need: "nothing",
  },
  message_too_big: { number: 1009, text: "Message is too big", reconnect: "never", need: "nothing" },
  internal_error: { number: 1011, text: "Internal error", reconnect: "after", need: "nothing" },

  unavailable: {
    number: 4100,
    text: "Authentication is temporarily unavailable",
    reconnect: "after",
    need: "nothing",
  },
  overloaded: { number: 4101, text: "Too many connections", reconnect: "after", need: "nothing" },
  auth_timeout: { number: 4102, text: "No authentication in time", reconnect: "after", need: "nothing" },
  heartbeat_timeout: { number: 4103, text: "No pong in time", reconnect: "after", need: "nothing" },
  slow_consumer: { number: 4104, text: "Client reads too slowly", reconnect: "after", need: "nothing" },
  rate_limited: { number: 4105, text: "Too many messages", reconnect: "after", need: "nothing" },
  too_many_sockets: {
    number: 4106,
    text: "Too many sockets of this session or user",
    reconnect: "after",
    need: "nothing",
  },

  token_expired: { number: 4200, text: "Access token has expired", reconnect: "now", need: "refresh" },

  auth_invalid: { number: 4300, text: "Invalid access token or password", reconnect: "never", need: "login" },
  session_revoked: { number: 4301, text: "Session was revoked", reconnect: "never", need: "login" },
  session_expired: { number: 4302, text: "Session has expired", reconnect: "never", need: "login" },
  user_deactivated: { number: 4303, text: "User is not active", reconnect: "never", need: "login" },
  user_removed: { number: 4304, text: "User was removed", reconnect: "never", need: "login" },
  password_changed: { number: 4305, text: "Password was changed", reconnect: "never", need: "login" },
  credential_removed: { number: 4306, text: "Credential was removed", reconnect: "never", need: "login" },
  token_reused: { number: 4307, text: "Refresh token was used twice", reconnect: "never", need: "login" },

  malformed_auth: {
    number: 4400,
    text: "Authentication message is malformed",
    reconnect: "never",
    need: "nothing",
  },
  unexpected_message: {
    number: 4401,
    text: "Message is not allowed before authentication",
    reconnect: "never",
    need: "nothing",
  },
  address_not_allowed: {
    number: 4402,
    text: "User cannot authenticate remotely",
    reconnect: "never",
    need: "nothing",
  },
} as const satisfies Record<string, CloseCode>;

export type CloseName = keyof typeof closeCodes;

/** Numbers that were used once and must not get a new meaning. */
export const retiredCloseCodes: readonly number[] = [];

/** What a client does after a close with `code`: from the table, else from the range, else a plain retry. */
export function closeRule(code: number): { reconnect: Reconnect; need: Need } {
  for (const known of Object.values(closeCodes)) {
    if (known.number === code) return { reconnect: known.reconnect, need: known.need };
  }
  if (code >= 4000 && code <= 4099) return { reconnect: "now", need: "nothing" };
  if (code >= 4200 && code <= 4299) return { reconnect: "now", need: "refresh" };
  if (code >= 4300 && code <= 4399) return { reconnect: "never", need: "login" };
  if (code >= 4400 && code <= 4499) return { reconnect: "never", need: "nothing" };
  return { reconnect: "after", need: "nothing" };
}
