import type { FormStep } from "../../protocol/flow.ts";

/**
 * What to tell the person if the browser gave no key. A page at an address, without TLS, or of another domain than the keys
 * gets none however often it asks. Otherwise the person has cancelled, or has no key that fits.
 */
export function passkeyProblem(error: unknown): "passkey_failed" | "passkey_not_here" {
  const isForbidden = error instanceof DOMException && error.name === "SecurityError";
  return isForbidden || !window.isSecureContext ? "passkey_not_here" : "passkey_failed";
}

/** A form that the browser fills in, with a passkey or a security key. */
export function asksForPasskey({ data_schema, description_placeholders }: FormStep): boolean {
  return description_placeholders?.options !== undefined && fieldsOf(data_schema).has("credential_id");
}

/** Asks the browser, which asks the person. Rejects if there is no answer. */
export async function answerWithPasskey(step: FormStep): Promise<Readonly<Record<string, string>>> {
  const publicKey = withBytes(JSON.parse(step.description_placeholders?.options ?? "null"));
  const isNew = fieldsOf(step.data_schema).has("attestation_object");
  const credential = isNew
    ? await navigator.credentials.create({ publicKey })
    : await navigator.credentials.get({ publicKey });
  if (!(credential instanceof PublicKeyCredential)) throw new TypeError("no credential");
  const { response, rawId } = credential;
  const all = { credential_id: text(rawId), client_data_json: text(response.clientDataJSON) };
  if (response instanceof AuthenticatorAttestationResponse)
    return {
      ...all,
      attestation_object: text(response.attestationObject),
      transports: response.getTransports().join(),
    };
  const { authenticatorData, signature, userHandle } = response as AuthenticatorAssertionResponse;
  const proof = { ...all, authenticator_data: text(authenticatorData), signature: text(signature) };
  if (!fieldsOf(step.data_schema).has("user_handle")) return proof;
  return { ...proof, user_handle: text(userHandle ?? new ArrayBuffer(0)) };
}

function fieldsOf(schema: FormStep["data_schema"]): ReadonlySet<string> {
  return new Set(schema.map(({ name }) => name));
}

interface Described {
  readonly id: string;
}

/** The options as the browser takes them. Its own function for this is not in all browsers that know passkeys. */
function withBytes(options: {
  readonly challenge: string;
  readonly user?: Described;
  readonly allowCredentials?: readonly Described[];
  readonly excludeCredentials?: readonly Described[];
}): PublicKeyCredentialCreationOptions & PublicKeyCredentialRequestOptions {
  const listed = (list: readonly Described[] = []) => list.map((each) => ({ ...each, id: bytes(each.id) }));
  const { challenge, user } = options;
  return {
    ...(options as object),
    challenge: bytes(challenge),
    ...(user === undefined ? {} : { user: { ...user, id: bytes(user.id) } }),
    allowCredentials: listed(options.allowCredentials),
    excludeCredentials: listed(options.excludeCredentials),
  } as unknown as PublicKeyCredentialCreationOptions & PublicKeyCredentialRequestOptions;
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function text(buffer: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}
