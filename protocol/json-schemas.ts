import { closeCodes } from "./close-codes.ts";
import type { CommandContract } from "./commands/define.ts";
import { commands } from "./commands/index.ts";
import { PresenceEvent } from "./commands/presence.ts";
import { SecurityEvent } from "./commands/revoke.ts";
import { TopicEvent } from "./commands/topics.ts";
import { errorCodes } from "./errors.ts";
import {
  features,
  HA_VERSION,
  JSON_SUBPROTOCOL,
  limits,
  MSGPACK_SUBPROTOCOL,
  PROTOCOL_VERSION,
  SOCKET_PATH,
} from "./features.ts";
import { FlowStep } from "./flow.ts";
import * as frames from "./frames.ts";
import * as http from "./http.ts";

/** JSON as it stands in a file. */
export type JsonDocument = Readonly<Record<string, unknown>>;

const dialect = "https://json-schema.org/draft/2020-12/schema";

/**
 * The wire as files for any language, keyed by their path below `protocol/schemas`: a JSON Schema (draft 2020-12) for
 * each message, request, result and event, and the tables of codes, features and limits.
 */
export function protocolFiles(): ReadonlyMap<string, JsonDocument> {
  const files = new Map<string, JsonDocument>();
  const add = (path: string, title: string, schema: object) =>
    files.set(`${path}.json`, {
      $schema: dialect,
      $id: `urn:gatehouse:${PROTOCOL_VERSION}:${path}`,
      title,
      ...(portable(schema) as object),
    });

  for (const [name, schema] of Object.entries(messages)) add(`messages/${name}`, `Message ${name}`, schema);
  const contracts: Readonly<Record<string, CommandContract>> = commands;
  for (const [type, { params, result }] of Object.entries(contracts)) {
    add(`requests/${type}`, `Request ${type}`, params);
    add(`results/${type}`, `Result of ${type}`, result);
  }
  for (const [name, schema] of Object.entries(events)) add(`events/${name}`, `Event of ${name}`, schema);
  for (const [name, schema] of Object.entries(bodies)) add(`http/${name}`, `HTTP body: ${name}`, schema);

  files.set("close-codes.json", plain(closeCodes));
  files.set("errors.json", plain(errorCodes));
  files.set("features.json", {
    protocol: PROTOCOL_VERSION,
    ha_version: HA_VERSION,
    path: SOCKET_PATH,
    subprotocols: { json: JSON_SUBPROTOCOL, msgpack: MSGPACK_SUBPROTOCOL },
    features: Object.keys(features),
    limits: { ...limits },
  });
  return files;
}

/** Messages that are not commands, by their `type`. A `result` is one of two. */
const messages = {
  auth_required: frames.AuthRequired,
  auth: frames.Auth,
  auth_ok: frames.AuthOk,
  auth_invalid: frames.AuthInvalid,
  auth_expiring: frames.AuthExpiring,
  auth_suspended: frames.AuthSuspended,
  auth_resumed: frames.AuthResumed,
  step_up_required: frames.StepUpRequired,
  "result-success": frames.ResultOk,
  "result-error": frames.ResultError,
  event: frames.Event,
  pong: frames.Pong,
};

/** The content of the `event` of a request. */
const events = {
  "auth/login/start": FlowStep,
  "auth/login/resume": FlowStep,
  "gatehouse/revoke": SecurityEvent,
  "gatehouse/presence/subscribe": PresenceEvent,
  "gatehouse/topics/subscribe": TopicEvent,
};

const bodies = {
  "token-response": http.TokenResponse,
  "oauth-error": http.OAuthError,
  message: http.HttpMessage,
  providers: http.ProvidersResponse,
  "onboarding-request": http.OnboardingRequest,
  "publish-request": http.PublishRequest,
  "publish-response": http.PublishResponse,
};

/** Writes tuples as draft 2020-12 does. Everything else is the same in the drafts that typebox follows. */
function portable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(portable);
  if (typeof schema !== "object" || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, portable(value)] as const);
  const { items, additionalItems: _, ...rest } = Object.fromEntries(entries);
  if (!Array.isArray(items)) return items === undefined ? rest : { ...rest, items };
  return { ...rest, prefixItems: items, items: false };
}

function plain(table: object): JsonDocument {
  return JSON.parse(JSON.stringify(table)) as JsonDocument;
}
