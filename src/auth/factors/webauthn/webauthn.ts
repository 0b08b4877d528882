import { isIP } from "node:net";

import type { FormField } from "../../../../protocol/flow.ts";
import type { JsonObject } from "../../store.ts";
import type { Sealing } from "../../tokens/sealing.ts";
import {
  type EnrolledFactor,
  type Factor,
  type FactorContext,
  type FactorForm,
  factorSecretName,
} from "../factor.ts";
import { type Key, mostKeys, openKeys, sealKeys } from "./keys.ts";

const text = (name: string, required = true): FormField => ({ name, type: "string", required });
/** The parts of the browser's answer, base64url: one text would be longer than a field may be. */
const creationFields = [
  text("credential_id"),
  text("client_data_json"),
  text("attestation_object"),
  text("transports", false),
];
const requestFields = [
  text("credential_id"),
  text("client_data_json"),
  text("authenticator_data"),
  text("signature"),
];
const refused = { base: "invalid_passkey" };

export interface WebauthnOptions {
  readonly id: string;
  readonly name: string;
  /** The domain that keys are bound to. Null: the host of the gateway's public URL. */
  readonly rpId: string | null;
  /** What browsers show; most show only the domain. */
  readonly rpName: string;
  /** Origins of pages that may ask for a key, beside the gateway's own. */
  readonly origins: readonly string[];
  /** Whether the key must verify its holder, by a PIN or a fingerprint. */
  readonly verifiesUser: boolean;
  readonly publicUrl: () => string;
  readonly sealing: Pick<Sealing, "seal" | "open">;
}

type Library = typeof import("@simplewebauthn/server") &
  Pick<
    typeof import("@simplewebauthn/server/helpers"),
    "decodeAttestationObject" | "isoBase64URL" | "isoCBOR"
  >;

/** A form for whoever has a key: the browser shows which there are. */
export interface KeyForms {
  discoverable(): Promise<Pick<FactorForm, "fields" | "placeholders" | "state">>;
}

/** The field of a discoverable form that says whose key it is: the user's id in base64url. */
export const userHandleField = "user_handle";

/** Passkeys and security keys (WebAuthn level 3). A user has up to ten; another set-up adds one. */
export function createWebauthn(options: WebauthnOptions): Factor & KeyForms {
  const { id, name, sealing, verifiesUser } = options;
  // It takes half a second to load, which no login should wait for. A failure is told to whoever needs it.
  const library = loadLibrary();
  library.catch(() => undefined);
  const keysOf = ({ userId }: FactorContext, data: JsonObject | undefined) =>
    openKeys(sealing, factorSecretName(id, userId), data);
  const parts = { options, library };
  return {
    id,
    type: "webauthn",
    name,
    attempts: 5,
    guessable: false,
    backup: false,
    verifiesUser,
    warnings: () => pageWarnings(options),
    async beginSetup(context) {
      const known = keysOf(context, context.previous);
      if (known.length >= mostKeys) return { kind: "abort", reason: "too_many_keys" };
      return await creationForm(parts, context, known);
    },
    async advanceSetup(input, { challenge }, context) {
      const known = counted(keysOf(context, context.previous), context.previousUsed ?? null);
      const made = await verifyCreation(parts, input, String(challenge));
      if (made === undefined) return await creationForm(parts, context, known, refused);
      const list = [...known.filter((key) => key.id !== made.key.id), made.key].slice(-mostKeys);
      return {
        kind: "done",
        data: sealKeys(sealing, factorSecretName(id, context.userId), list),
        amr: made.amr,
      };
    },
    async discoverable() {
      const { fields, placeholders, state } = await requestForm(parts, []);
      return { fields: [...fields, text(userHandleField)], placeholders, state };
    },
    begin: ({ data }, context) => requestForm(parts, keysOf(context, data)),
    async verify(input, { data, used }, { challenge }, context) {
      const known = counted(keysOf(context, data), used);
      const proved = await verifyRequest(parts, input, String(challenge), { known, used });
      if (proved === undefined) return await requestForm(parts, known, refused);
      return { kind: "proved", verifiesUser, ...proved };
    },
  };
}

async function loadLibrary(): Promise<Library> {
  const [server, helpers] = await Promise.all([
    import("@simplewebauthn/server"),
    import("@simplewebauthn/server/helpers"),
  ]);
  return { ...server, ...helpers };
}

interface Parts {
  readonly options: WebauthnOptions;
  readonly library: Promise<Library>;
}

function expected({ rpId, origins, publicUrl, verifiesUser }: WebauthnOptions) {
  const own = new URL(publicUrl());
  return {
    expectedOrigin: [own.origin, ...origins],
    expectedRPID: rpId ?? own.hostname,
    requireUserVerification: verifiesUser,
  };
}

/** Browsers give keys to pages at a host name alone, which is the domain or below it, over TLS or on the own machine. */
function pageWarnings({ rpId, origins, publicUrl }: WebauthnOptions): readonly string[] {
  const own = new URL(publicUrl());
  const domain = rpId ?? own.hostname;
  const isUsable = [own, ...origins.map((origin) => new URL(origin))].some(({ hostname, protocol }) => {
    const isBelow = hostname === domain || hostname.endsWith(`.${domain}`);
    const isOwnMachine = hostname === "localhost" || hostname.endsWith(".localhost");
    const isName = isIP(hostname.replace(/^\[|\]$/g, "")) === 0;
    return isBelow && isName && (protocol === "https:" || isOwnMachine);
  });
  if (isUsable) return [];
  return [
    `browsers give no key to the pages of ${own.origin}: they want a host name, no address, which is ${domain} or below it, over TLS or at localhost; see public_url`,
  ];
}

function verification({ verifiesUser }: WebauthnOptions): "required" | "preferred" {
  return verifiesUser ? "required" : "preferred";
}

async function creationForm(
  { options, library }: Parts,
  { userId, userName }: FactorContext,
  known: readonly Key[],
  errors?: FactorForm["errors"],
): Promise<FactorForm> {
  const { generateRegistrationOptions } = await library;
  const asked = await generateRegistrationOptions({
    rpName: options.rpName,
    rpID: expected(options).expectedRPID,
    userID: Uint8Array.from(Buffer.from(userId)),
    userName,
    userDisplayName: userName,
    attestationType: "none",
    excludeCredentials: known.map(({ id, transports }) => ({ id, transports })),
    authenticatorSelection: { residentKey: "preferred", userVerification: verification(options) },
  });
  return {
    kind: "form",
    fields: creationFields,
    errors,
    placeholders: { options: JSON.stringify(asked) },
    state: { challenge: asked.challenge },
  };
}

async function requestForm(
  { options, library }: Parts,
  known: readonly Key[],
  errors?: FactorForm["errors"],
): Promise<FactorForm> {
  const { generateAuthenticationOptions } = await library;
  const asked = await generateAuthenticationOptions({
    rpID: expected(options).expectedRPID,
    allowCredentials: known.map(({ id, transports }) => ({ id, transports })),
    userVerification: verification(options),
  });
  return {
    kind: "form",
    fields: requestFields,
    errors,
    placeholders: { options: JSON.stringify(asked) },
    state: { challenge: asked.challenge },
  };
}

function countersIn(used: EnrolledFactor["used"]): Readonly<Record<string, number>> {
  return (used?.counters ?? {}) as Readonly<Record<string, number>>;
}

/** The keys, each with the count of its last use. */
function counted(keys: readonly Key[], used: EnrolledFactor["used"]): readonly Key[] {
  const counters = countersIn(used);
  return keys.map((key) => {
    const counter = Object.hasOwn(counters, key.id) ? counters[key.id] : undefined;
    return counter === undefined ? key : { ...key, counter };
  });
}

type Input = Readonly<Record<string, unknown>>;

/** Undefined: what the browser sent is no answer to this challenge. */
async function verifyCreation(
  { options, library }: Parts,
  input: Input,
  expectedChallenge: string,
): Promise<{ readonly key: Key; readonly amr: readonly string[] } | undefined> {
  const loaded = await library;
  const id = String(input.credential_id);
  const verify = async () => {
    const response = {
      clientDataJSON: String(input.client_data_json),
      attestationObject: unattested(loaded, String(input.attestation_object)),
    };
    return await loaded.verifyRegistrationResponse({
      response: { id, rawId: id, type: "public-key", response, clientExtensionResults: {} },
      expectedChallenge,
      ...expected(options),
    });
  };
  const { verified, registrationInfo } = await verify().catch(unverified);
  if (!verified || registrationInfo === undefined) return undefined;
  const { credential, credentialDeviceType } = registrationInfo;
  const publicKey = Buffer.from(credential.publicKey).toString("base64url");
  const transports = transportsIn(input.transports);
  return {
    key: { id: credential.id, publicKey, counter: credential.counter, transports },
    amr: amrOf(credentialDeviceType),
  };
}

/**
 * The same key without a statement about who made it. None was asked for, and nothing here depends on one. The library
 * would check it nevertheless: it downloads the lists of revoked certificates that the statement's own certificates
 * name, from any address, without a limit. Throws for what is no attestation object.
 */
function unattested({ decodeAttestationObject, isoBase64URL, isoCBOR }: Library, given: string): string {
  const authData = decodeAttestationObject(isoBase64URL.toBuffer(given)).get("authData");
  const none = new Map<string, string | Uint8Array | Map<string, never>>([
    ["fmt", "none"],
    ["attStmt", new Map<string, never>()],
    ["authData", authData],
  ]);
  return isoBase64URL.fromBuffer(isoCBOR.encode(none));
}

async function verifyRequest(
  { options, library }: Parts,
  input: Input,
  expectedChallenge: string,
  { known, used }: { readonly known: readonly Key[]; readonly used: EnrolledFactor["used"] },
): Promise<{ readonly amr: readonly string[]; readonly used: JsonObject | null } | undefined> {
  const { verifyAuthenticationResponse } = await library;
  const key = known.find(({ id }) => id === input.credential_id);
  if (key === undefined) return undefined;
  const response = {
    clientDataJSON: String(input.client_data_json),
    authenticatorData: String(input.authenticator_data),
    signature: String(input.signature),
  };
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: { id: key.id, rawId: key.id, type: "public-key", response, clientExtensionResults: {} },
    expectedChallenge,
    ...expected(options),
    credential: {
      id: key.id,
      publicKey: Uint8Array.from(Buffer.from(key.publicKey, "base64url")),
      counter: key.counter,
    },
  }).catch(unverified);
  if (!verified || authenticationInfo === undefined) return undefined;
  const { newCounter, credentialDeviceType } = authenticationInfo;
  const amr = amrOf(credentialDeviceType);
  // Keys that do not count stay at 0. Each challenge is answered once: it belongs to one step of one flow.
  if (newCounter === 0) return { amr, used: null };
  return { amr, used: { counters: { ...countersIn(used), [key.id]: newCounter } } };
}

/** The library throws for whatever does not fit, with words about it that nobody needs. */
function unverified(): {
  readonly verified: false;
  registrationInfo?: undefined;
  authenticationInfo?: undefined;
} {
  return { verified: false };
}

/** RFC 8176: a key in hardware or one that is copied between devices, and the test that somebody is there. */
function amrOf(device: "singleDevice" | "multiDevice"): readonly string[] {
  return [device === "singleDevice" ? "hwk" : "swk", "user"];
}

const transportWords = new Set(["usb", "nfc", "ble", "smart-card", "hybrid", "internal"]);

function transportsIn(given: unknown): string[] {
  return typeof given === "string" ? given.split(",").filter((word) => transportWords.has(word)) : [];
}
