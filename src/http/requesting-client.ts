import type { Authority } from "../auth/authority.ts";
import type { ClientProof } from "../auth/clients/client-authentication.ts";
import { isRegisteredId, verifyClientId } from "../auth/clients/client-id.ts";
import type { RegisteredClient } from "../auth/clients/client-record.ts";
import { AuthError } from "../auth/errors.ts";
import type { Form } from "./body.ts";
import type { HttpRequest } from "./endpoint.ts";

/** The client of a request. `registered` has authenticated, as far as it must; a URL that nobody registered cannot. */
export interface RequestingClient {
  readonly id: string;
  readonly registered: RegisteredClient | undefined;
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/**
 * Client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2): a secret in the header or in the body, or an
 * assertion. A secret beside a URL as client id is ignored, as in Home Assistant. Undefined if the request names
 * no client. Throws `invalid_client`, `invalid_client_authentication`, `invalid_client_header`, and
 * `invalid_format` for two methods at once.
 */
export async function requestingClient(
  authority: Pick<Authority, "clientAuthentication">,
  request: HttpRequest,
  form: Form,
): Promise<RequestingClient | undefined> {
  const proof = proofOf(request, form);
  if (proof === undefined) return undefined;
  if (proof.kind !== "assertion" && verifyClientId(proof.clientId))
    return { id: proof.clientId, registered: undefined };
  if (proof.kind === "none" && !isRegisteredId(proof.clientId)) throw new AuthError("invalid_client");
  const registered = await authority.clientAuthentication
    .authenticate(proof)
    .catch((error: unknown) => Promise.reject(asChallenge(error, request)));
  return { id: registered.id, registered };
}

/** RFC 6749 section 5.2: 401 for a client that used the header, which libraries take for a challenge; 400 otherwise. */
function asChallenge(error: unknown, request: HttpRequest): unknown {
  return error instanceof AuthError &&
    error.code === "invalid_client_authentication" &&
    request.headers.get("authorization") !== undefined
    ? new AuthError("invalid_client_header", { detail: error.message, cause: error })
    : error;
}

/** The same, for endpoints that only registered clients use. */
export async function registeredClient(
  authority: Pick<Authority, "clientAuthentication">,
  request: HttpRequest,
  form: Form,
): Promise<RegisteredClient> {
  const client = await requestingClient(authority, request, form);
  if (client?.registered === undefined)
    throw new AuthError("invalid_client_authentication", { detail: "no registered client" });
  return client.registered;
}

/** For the audit record. Only that of a client is repeated: what stands in its place may be a secret. */
export async function knownClientId(
  authority: Pick<Authority, "clients">,
  request: HttpRequest,
  form: Form,
): Promise<string | null> {
  try {
    const named = proofOf(request, form)?.clientId;
    if (named === undefined) return null;
    return verifyClientId(named) ? named : ((await authority.clients.find(named))?.id ?? null);
  } catch {
    return null;
  }
}

function proofOf(request: HttpRequest, form: Form): ClientProof | undefined {
  const basic = basicOf(request);
  const clientId = form.get("client_id");
  const secret = form.get("client_secret");
  const assertion = form.get("client_assertion");
  if ([basic, secret, assertion].filter((each) => each !== undefined).length > 1)
    throw wrong("more than one client authentication");
  if (basic !== undefined) {
    if (clientId !== undefined && clientId !== basic.clientId) throw wrong("two client ids");
    return basic;
  }
  if (assertion !== undefined) {
    if (form.get("client_assertion_type") !== assertionType) throw wrong("client_assertion_type");
    return { kind: "assertion", clientId, assertion };
  }
  if (clientId === undefined) return undefined;
  return secret === undefined ? { kind: "none", clientId } : { kind: "secret", clientId, secret };
}

/** RFC 6749 section 2.3.1: both parts are form-encoded before they are joined. */
function basicOf(request: HttpRequest): Extract<ClientProof, { kind: "secret" }> | undefined {
  const [scheme = "", value = ""] = (request.headers.get("authorization") ?? "").split(" ");
  if (scheme.toLowerCase() !== "basic") return undefined;
  const [, id = "", secret = ""] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(value, "base64").toString("utf8")) ?? [];
  const [clientId, decoded] = [formDecoded(id), formDecoded(secret)];
  if (clientId === undefined || decoded === undefined || clientId === "")
    throw new AuthError("invalid_client_header", { detail: "malformed credentials in the header" });
  return { kind: "secret", clientId, secret: decoded };
}

function formDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}

function wrong(detail: string): AuthError {
  return new AuthError("invalid_format", { publicMessage: `Client authentication: ${detail}`, detail });
}
