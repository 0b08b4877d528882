/**
 * What a client may negotiate with `supported_features`. As in Home Assistant, only the presence of the name counts.
 */
export const features = {
  /** The server may put several messages into one frame, as an array. */
  coalesce_messages: "coalesce_messages",
  /**
   * The server announces the end of the access token (`auth_expiring`). The client promises to answer with
   * `auth/refresh`: if the token expires on the socket, it is closed with `token_expired`.
   */
  auth_expiring: "auth_expiring",
  /**
   * The server reports that it suspends the socket (`auth_suspended`) and that the socket continues (`auth_resumed`).
   * Meanwhile the client's calls wait. Without the feature a suspended socket is silent.
   */
  auth_suspended: "auth_suspended",
  /**
   * A command that needs a recent login may be answered with `step_up_required`. It waits until the client has let the
   * person log in again, on the same socket. Without the feature the answer is `recent_login_required`.
   */
  step_up: "step_up",
} as const;
export type Feature = keyof typeof features;

/**
 * WebSocket subprotocols, with the protocol's version. A client that names none, as Home Assistant's clients do, also
 * gets JSON text frames.
 */
export const JSON_SUBPROTOCOL = "gatehouse.v1.json";
/** msgpack in binary frames. */
export const MSGPACK_SUBPROTOCOL = "gatehouse.v1.msgpack";
/** Home Assistant's path. */
export const SOCKET_PATH = "/api/websocket";
/** Sent as `ha_version`: real clients compare it with 2022.4 and 2022.9. */
export const HA_VERSION = "2026.11.0";
/** The version of Gatehouse's own part of the protocol, announced in `auth_required`. */
export const PROTOCOL_VERSION = 1;

/** Limits that both sides know. Sizes in bytes, times in milliseconds. */
export const limits = {
  /** Largest frame before `auth_ok`. */
  frameBeforeAuth: 4096,
  /** Largest frame after `auth_ok`. */
  frame: 65_536,
  /** Deepest nesting of arrays and objects. */
  depth: 16,
  /** Members of all objects together in one frame of a client. */
  members: 2048,
  /** Messages, pings and unsolicited pongs that a socket may send before `auth_ok`. */
  messagesBeforeAuth: 64,
  /** From open to `auth_ok` without a login flow (Home Assistant: 10 s). */
  authDeadlineMs: 10_000,
  /** From open to `auth_ok` with a login flow. Also the lifetime of a flow. */
  loginDeadlineMs: 300_000,
  /** Longest access token that is parsed (Home Assistant: 8192; frames before `auth_ok` are smaller anyway). */
  accessToken: 8192,
  /** Commands of one socket that may be in progress at once. */
  inFlight: 64,
  /** Longest password in bytes of UTF-8, after NFKC. */
  password: 1024,
  /**
   * Interval of the server's WebSocket pings, from a login's start or `auth_ok` on (Home Assistant: 55 s, pong within
   * half of it).
   */
  heartbeatMs: 55_000,
  /** How long a socket may be suspended before it is closed. */
  suspensionMs: 60_000,
  /** How many frames a suspended socket may send, and below how many bytes in total. */
  suspendedFrames: 64,
  suspendedBytes: 65_536,
  /** How many commands of a socket may wait for a step-up, and below how many bytes in total. */
  stepUpCommands: 4,
  stepUpBytes: 32_768,
  /** How long they wait. */
  stepUpMs: 300_000,
} as const;
