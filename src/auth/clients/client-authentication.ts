import { createLocalJWKSet, decodeJwt, type JWTPayload, errors as joseErrors, jwtVerify } from "jose";

import type { Clock } from "../clock/clock.ts";
import { isSameText } from "../constant-time.ts";
import { AuthError } from "../errors.ts";
import { recordKeys } from "../record-keys.ts";
import type { Store } from "../store.ts";
import type { RegisteredClient } from "./client-record.ts";
import { hashClientSecret, type RegisteredClients } from "./registered-clients.ts";

/** What a client has sent to prove that it is the client. */
export type ClientProof =
  | { readonly kind: "none"; readonly clientId: string }
  | { readonly kind: "secret"; readonly clientId: string; readonly secret: string }
  /** RFC 7523 section 2.2. `clientId`: if it was sent beside the assertion. */
  | { readonly kind: "assertion"; readonly clientId: string | undefined; readonly assertion: string };

export interface ClientAuthentication {
  /**
   * The registered client that this proves. Throws `invalid_client_authentication` alike for an unknown client, a
   * wrong secret, another method than the client's, and an assertion that is wrong, over, or was used before; and
   * `invalid_client` for an unknown one that proves nothing, as Home Assistant does. Client ids are no secrets.
   */
  authenticate(proof: ClientProof): Promise<RegisteredClient>;
}

export interface ClientAuthenticationOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly clients: Pick<RegisteredClients, "find">;
  /** What an assertion may name as its audience. */
  readonly audiences: () => readonly string[];
}

const algorithms = ["ES256", "ES384", "RS256", "PS256", "EdDSA"];
/** How far ahead an assertion may end, s: its `jti` is remembered until then. */
const maxAssertionLifeSeconds = 600;
const clockToleranceSeconds = 10;
const unknownHash = hashClientSecret("");

export function createClientAuthentication(options: ClientAuthenticationOptions): ClientAuthentication {
  const { clients } = options;
  return {
    async authenticate(proof) {
      if (proof.kind === "assertion") return await byAssertion(options, proof);
      const client = await clients.find(proof.clientId);
      if (proof.kind === "none") {
        if (client === undefined) throw new AuthError("invalid_client", { detail: "no such client" });
        if (client.authMethod !== "none") throw refused("the client must authenticate");
        return client;
      }
      // The same comparison for every client, so that the time does not say which exist.
      const same = isSameText(hashClientSecret(proof.secret), client?.secretHash ?? unknownHash);
      if (!same || client?.authMethod !== "client_secret") throw refused("a wrong secret, or no such client");
      return client;
    },
  };
}

async function byAssertion(
  options: ClientAuthenticationOptions,
  { assertion, clientId }: Extract<ClientProof, { kind: "assertion" }>,
): Promise<RegisteredClient> {
  const named = subjectOf(assertion);
  if (named === undefined || (clientId !== undefined && clientId !== named))
    throw refused("the assertion is not of the client that is named");
  const client = await options.clients.find(named);
  if (client?.authMethod !== "private_key_jwt" || client.jwks === null)
    throw refused("an assertion of a client without keys, or no such client");
  const claims = await verified(options, client, assertion);
  await useOnce(options, client.id, claims);
  return client;
}

/** NOT verified: it only says whose keys to try. */
function subjectOf(assertion: string): string | undefined {
  try {
    // What a stranger sends need not be text.
    const sub: unknown = decodeJwt(assertion).sub;
    return typeof sub === "string" ? sub : undefined;
  } catch {
    return undefined;
  }
}

async function verified(
  { clock, audiences }: ClientAuthenticationOptions,
  client: RegisteredClient,
  assertion: string,
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(assertion, createLocalJWKSet(client.jwks ?? { keys: [] }), {
      issuer: client.id,
      subject: client.id,
      audience: [...audiences()],
      algorithms,
      requiredClaims: ["exp", "jti"],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(clock.now()),
    });
    return payload;
  } catch (error) {
    // The last one: a key that cannot be imported, or not for the algorithm that the assertion names.
    const isOfClient = [joseErrors.JOSEError, TypeError, DOMException].some((kind) => error instanceof kind);
    throw isOfClient && error instanceof Error ? refused(error.message) : error;
  }
}

/** The commit decides: of several uses at once, on whatever nodes, one is accepted. */
async function useOnce(
  { store, clock }: ClientAuthenticationOptions,
  clientId: string,
  { exp = 0, jti }: JWTPayload,
): Promise<void> {
  if (typeof jti !== "string") throw refused("the assertion's jti is no text");
  const end = exp * 1000;
  if (end > clock.now() + (maxAssertionLifeSeconds + clockToleranceSeconds) * 1000)
    throw refused("the assertion lives for too long");
  const key = recordKeys.clientAssertion(clientId, jti);
  const expiresAt = end + 2 * clockToleranceSeconds * 1000;
  const outcome = await store.commit({
    check: [{ key, version: 0 }],
    put: [{ key, value: {}, expiresAt }],
  });
  if (!outcome.ok) throw refused("the assertion was used before");
}

function refused(detail: string): AuthError {
  return new AuthError("invalid_client_authentication", { detail });
}
