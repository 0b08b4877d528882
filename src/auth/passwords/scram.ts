import { createHmac, hash, randomBytes, timingSafeEqual } from "node:crypto";

import {
  attributesOf,
  authMessage,
  channelBinding,
  isNonce,
  SCRAM_PLUS_MECHANISM,
} from "../../../protocol/scram.ts";
import { AuthError } from "../errors.ts";
import type { Verifier } from "./passwords.ts";

/* The server's side of SCRAM-SCRYPT; `protocol/scram.ts` has what both sides share. */

/** Bytes of our part of the nonce. */
const nonceBytes = 18;

/** The client's first message (RFC 5802 section 7, `client-first-message`). */
export interface ClientFirst {
  /** Up to and with the second comma. */
  readonly gs2Header: string;
  /**
   * `bound`: to the connection. `believes_unbound`: the client could bind, and was told that the server cannot.
   */
  readonly binding: "bound" | "believes_unbound" | "none";
  /** The message without the header. */
  readonly bare: string;
  readonly username: string;
  readonly nonce: string;
}

/** What is remembered between the client's two messages. It has no secret. */
export interface ScramExchange {
  readonly gs2Header: string;
  readonly bare: string;
  readonly nonce: string;
  readonly serverFirst: string;
}

/** Header, then the rest; an authorization identity (`a=`) is named but not supported. */
const firstShape = /^((?:([ny])|p=([A-Za-z0-9.-]{1,64})),(a=[^,]*)?,)(.*)$/s;

/** Throws `invalid_format` for a message that breaks the grammar, or asks for what the mechanism does not have. */
export function readClientFirst(text: string, mechanism: string): ClientFirst {
  const [, gs2Header, flag, type, identity, bare] = firstShape.exec(text) ?? [];
  if (gs2Header === undefined || bare === undefined) throw malformed("client-first-message");
  if (identity !== undefined) throw malformed("authorization identity");
  const isBound = mechanism === SCRAM_PLUS_MECHANISM;
  if (isBound !== (type !== undefined)) throw malformed("channel binding flag");
  if (isBound && type !== channelBinding.type) throw malformed("channel binding type");
  const attributes = attributesOf(bare);
  const [first, second] = attributes?.keys() ?? [];
  if (attributes === undefined || first !== "n" || second !== "r") throw malformed("client-first-message");
  const nonce = attributes.get("r") ?? "";
  const username = saslName(attributes.get("n") ?? "");
  if (!isNonce(nonce)) throw malformed("nonce");
  if (username === undefined) throw malformed("user name");
  const binding = isBound ? "bound" : flag === "y" ? "believes_unbound" : "none";
  return { gs2Header, binding, bare, username, nonce };
}

/** RFC 5802 section 5.1: `=2C` and `=3D` stand for a comma and an equals sign; no other `=`, and no NUL, is there. */
function saslName(text: string): string | undefined {
  const isValid = !/=(?!2C|3D)|\0/.test(text);
  return isValid ? text.replaceAll("=2C", ",").replaceAll("=3D", "=") : undefined;
}

/** Answers the first message, with a nonce that was never used. */
export function beginExchange(
  { gs2Header, bare, nonce: clientNonce }: ClientFirst,
  { salt, N, r, p }: Pick<Verifier, "salt" | "N" | "r" | "p">,
): ScramExchange {
  const nonce = clientNonce + randomBytes(nonceBytes).toString("base64");
  const encodedSalt = Buffer.from(salt, "base64url").toString("base64");
  const serverFirst = `r=${nonce},s=${encodedSalt},i=${N},k=scrypt,b=${r},l=${p}`;
  return { gs2Header, bare, nonce, serverFirst };
}

/** The client's last message. */
export interface ClientFinal {
  readonly withoutProof: string;
  /** Base64 of the header, and of what binds to the connection. */
  readonly binding: string;
  readonly nonce: string;
  readonly proof: Buffer;
}

const proofBytes = 32;
const finalShape = /^(.+),p=([A-Za-z0-9+/]{43}=)$/s;

/** Throws `invalid_format` for a message that breaks the grammar. */
export function readClientFinal(text: string): ClientFinal {
  const [, withoutProof = "", proof = ""] = finalShape.exec(text) ?? [];
  const attributes = attributesOf(withoutProof);
  const [first, second] = attributes?.keys() ?? [];
  const bytes = Buffer.from(proof, "base64");
  // The proof is the only `p`.
  const isWhole = first === "c" && second === "r" && !attributes?.has("p") && bytes.length === proofBytes;
  if (attributes === undefined || !isWhole) throw malformed("client-final-message");
  return {
    withoutProof,
    binding: attributes.get("c") ?? "",
    nonce: attributes.get("r") ?? "",
    proof: bytes,
  };
}

/**
 * Judges the client's proof, and makes the server's own. The same work is done whatever is wrong. `bound`: the value of
 * this connection, if the exchange is bound to it.
 */
export function judgeProof(
  exchange: ScramExchange,
  final: ClientFinal,
  { storedKey, serverKey }: Pick<Verifier, "storedKey" | "serverKey">,
  bound: Uint8Array | undefined,
): { readonly ok: boolean; readonly serverFinal: string } {
  const message = authMessage({
    clientFirstBare: exchange.bare,
    serverFirst: exchange.serverFirst,
    clientFinalWithoutProof: final.withoutProof,
  });
  const stored = Buffer.from(storedKey, "base64url");
  const signature = hmac(stored, message);
  const clientKey = final.proof.map((byte, place) => byte ^ (signature[place] ?? 0));
  const isProved = timingSafeEqual(hash("sha256", clientKey, "buffer"), stored);
  clientKey.fill(0);
  const isSame = final.nonce === exchange.nonce && final.binding === bindingOf(exchange.gs2Header, bound);
  const serverSignature = hmac(Buffer.from(serverKey, "base64url"), message).toString("base64");
  return { ok: isProved && isSame, serverFinal: `v=${serverSignature}` };
}

/** The attribute `c` that the client's last message must have. */
function bindingOf(gs2Header: string, bound: Uint8Array | undefined): string {
  const header = Buffer.from(gs2Header);
  return (bound === undefined ? header : Buffer.concat([header, bound])).toString("base64");
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function malformed(what: string): AuthError {
  return new AuthError("invalid_format", { publicMessage: `User input malformed: ${what}` });
}
