import type { PublishResponse } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { allows } from "../../auth/clients/scopes.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Principal } from "../../auth/model.ts";
import type { JsonObject, JsonValue } from "../../auth/store.ts";
import { requirePublishRequest } from "../../topics/publish-request.ts";
import type { Topics } from "../../topics/topics.ts";
import { json } from "../answers.ts";
import { bearerOf } from "../bearer.ts";
import { type DecodeJson, readPlainJson } from "../body.ts";
import type { Endpoint, Exchange } from "../exchange.ts";

export interface PublishOptions {
  readonly authority: Pick<Authority, "authentication">;
  readonly topics: Pick<Topics, "publishAs" | "fireAs">;
  readonly decodeJson: DecodeJson;
  readonly maxBodyBytes: number;
}

/**
 * `POST /api/gatehouse/topics/publish` with a bearer token: one message or several, all of them or none. Throws
 * `unauthorized`, `insufficient_scope`, `not_allowed` if the user may not publish to one of the topics, `rate_limited`.
 */
export function publishEndpoint(options: PublishOptions): Endpoint {
  const { topics, decodeJson, maxBodyBytes } = options;
  return async (exchange) => {
    const publisher = await requirePublisher(options, exchange);
    const body = await exchange.timed(async () => readPlainJson(exchange.request, maxBodyBytes, decodeJson));
    requirePublishRequest(body);
    const messages = body.messages.map(({ data, ...message }) => ({ ...message, data: data as JsonValue }));
    const positions = await topics.publishAs(publisher, messages);
    return json({ positions } satisfies PublishResponse);
  };
}

/** `POST /api/events/:event_type`, as in Home Assistant: its body is the event's data, an object, or nothing. */
export function fireEventEndpoint(options: PublishOptions): Endpoint {
  const { topics, decodeJson, maxBodyBytes } = options;
  return async (exchange) => {
    const { request, parameters } = exchange;
    const publisher = await requirePublisher(options, exchange);
    const { event_type: type = "" } = parameters;
    if (type.length > 64) throw new AuthError("invalid_format", { publicMessage: "Event type is too long." });
    const data = await exchange.timed(async () =>
      request.body.byteLength === 0 ? {} : readPlainJson(request, maxBodyBytes, decodeJson),
    );
    if (!isObject(data))
      throw new AuthError("invalid_format", { publicMessage: "Event data should be a JSON object" });
    await topics.fireAs(publisher, { type, data, origin: "REMOTE" });
    return json({ message: `Event ${type} fired.` });
  };
}

async function requirePublisher(
  { authority: { authentication } }: PublishOptions,
  { request, peer }: Exchange,
): Promise<Principal> {
  const token = bearerOf(request);
  const verdict = token === undefined ? undefined : await authentication.authenticate(token, peer);
  if (verdict?.ok !== true) throw new AuthError("unauthorized", { detail: "no good token" });
  if (!allows(verdict.principal.scope, "api")) throw new AuthError("insufficient_scope");
  return verdict.principal;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
