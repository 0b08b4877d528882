import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import {
  attributesOf,
  authMessage,
  channelBinding,
  isNonce,
  isProofCost,
  SCRAM_MECHANISM,
  SCRAM_PLUS_MECHANISM,
  type ScryptCost,
  scramLimits,
} from "../../protocol/scram.ts";
import type { Scrypt } from "./scrypt.ts";

/*
 * The client's side of SCRAM-SCRYPT; `protocol/scram.ts` has what both sides share. Not with Web Crypto: browsers have it for
 * pages from https and from localhost only, and many gateways are reached at `http://` in a home.
 */

const nonceBytes = 18;

const utf8 = (text: string) => new TextEncoder().encode(text);

/** One proof of a password, from the first message to the server's own proof. */
export interface ScramClient {
  readonly mechanism: string;
  readonly username: string;
  readonly first: string;
  /**
   * Answers `server_first` once it is known on which socket: `bound` is that connection's value. Rejects with
   * `Distrust` for an answer that no server of this protocol gives, or at a cost that is refused.
   */
  sign(
    serverFirst: string,
    password: string,
    scrypt: Scrypt,
    onProgress: (part: number) => void,
  ): Promise<(bound: Uint8Array | undefined) => SignedFinal>;
}

export interface SignedFinal {
  readonly message: string;
  /** What the server answers if it knows the password. */
  readonly serverFinal: string;
}

/**
 * Begins a proof. `offered`: the mechanisms of the form. `canBind`: whether the connection has a value to bind to. With
 * one the proof is bound to it, or tells the server that nothing to bind was offered (RFC 5802 section 6).
 */
export function beginScram(
  username: string,
  offered: readonly string[],
  canBind: boolean,
  nonce = base64(crypto.getRandomValues(new Uint8Array(nonceBytes))),
): ScramClient {
  const isBound = canBind && offered.includes(SCRAM_PLUS_MECHANISM);
  const flag = isBound ? `p=${channelBinding.type}` : canBind ? "y" : "n";
  const header = `${flag},,`;
  const name = username.replaceAll("=", "=3D").replaceAll(",", "=2C");
  const bare = `n=${name},r=${nonce}`;
  return {
    mechanism: isBound ? SCRAM_PLUS_MECHANISM : SCRAM_MECHANISM,
    username,
    first: header + bare,
    async sign(serverFirst, password, scrypt, onProgress) {
      const challenge = readServerFirst(serverFirst, nonce);
      const secret = utf8(password.normalize("NFKC"));
      const salted = await scrypt(secret, challenge.salt, challenge.cost, onProgress);
      return (bound) => {
        const value = isBound ? (bound ?? new Uint8Array(0)) : new Uint8Array(0);
        const binding = base64(Uint8Array.of(...utf8(header), ...value));
        const clientFinalWithoutProof = `c=${binding},r=${challenge.nonce}`;
        const signed = utf8(authMessage({ clientFirstBare: bare, serverFirst, clientFinalWithoutProof }));
        const { proof, serverSignature } = signWith(salted, signed);
        return {
          message: `${clientFinalWithoutProof},p=${base64(proof)}`,
          serverFinal: `v=${base64(serverSignature)}`,
        };
      };
    },
  };
}

/** RFC 5802 section 3, from SaltedPassword. */
export function signWith(salted: Uint8Array, signed: Uint8Array) {
  const clientKey = hmac(sha256, salted, utf8("Client Key"));
  const signature = hmac(sha256, sha256(clientKey), signed);
  const proof = clientKey.map((byte, place) => byte ^ (signature[place] ?? 0));
  const serverSignature = hmac(sha256, hmac(sha256, salted, utf8("Server Key")), signed);
  clientKey.fill(0);
  return { proof, serverSignature };
}

interface Challenge {
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly cost: ScryptCost;
}

/** Throws `Distrust`. A proof at a low cost would help whoever asks for it to guess the password. */
export function readServerFirst(text: string, clientNonce: string): Challenge {
  const attributes = attributesOf(text);
  const names = [...(attributes?.keys() ?? [])].slice(0, 6).join("");
  const attribute = (name: string) => attributes?.get(name) ?? "";
  const nonce = attribute("r");
  const number = (name: string) => (/^[1-9]\d{0,9}$/.test(attribute(name)) ? Number(attribute(name)) : 0);
  const cost = { N: number("i"), r: number("b"), p: number("l") };
  const salt = fromBase64(attribute("s"));
  if (names !== "rsikbl" || attribute("k") !== "scrypt" || salt === undefined)
    throw untrusted("is not understood");
  if (!nonce.startsWith(clientNonce) || !isNonce(nonce.slice(clientNonce.length)))
    throw untrusted("is not an answer to this login");
  const { least, most } = scramLimits.salt;
  if (salt.length < least || salt.length > most) throw untrusted("has no proper salt");
  if (!isProofCost(cost)) throw untrusted("asks for a proof at a cost that is not allowed");
  return { nonce, salt, cost };
}

/** What the server said cannot be trusted. */
export class Distrust extends Error {
  readonly code = "server_not_trusted";
}

function untrusted(what: string): Distrust {
  return new Distrust(`The server's part of the password's proof ${what}`);
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
