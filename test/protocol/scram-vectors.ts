import { readFileSync } from "node:fs";
import path from "node:path";

/** An exchange of `protocol/vectors/scram/exchanges.json`. Keys are in hex. */
export interface ScramVector {
  readonly name: string;
  readonly mechanism: string;
  readonly username: string;
  readonly password: string;
  readonly gs2_header: string;
  readonly channel_binding: string | null;
  readonly client_nonce: string;
  readonly server_nonce: string;
  readonly salt: string;
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly client_first: string;
  readonly server_first: string;
  readonly auth_message: string;
  readonly salted_password: string;
  readonly client_key: string;
  readonly stored_key: string;
  readonly server_key: string;
  readonly client_final: string;
  readonly server_final: string;
}

interface Refused {
  readonly name: string;
  readonly message: string;
}

export interface ScramRefusals {
  readonly client_nonce: string;
  readonly server_first: readonly Refused[];
  readonly client_first: readonly Refused[];
  readonly client_final: readonly Refused[];
}

const folder = path.resolve(import.meta.dirname, "../../protocol/vectors/scram");
export const exchangesFile = path.join(folder, "exchanges.json");
const read = (name: string): unknown => JSON.parse(readFileSync(path.join(folder, name), "utf8"));

export const scramVectors = read("exchanges.json") as readonly ScramVector[];
export const scramRefusals = read("refusals.json") as ScramRefusals;

/** The example of RFC 7677 section 3, as it is there: the keys are PBKDF2's. */
export const rfc7677 = {
  salt: Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"),
  iterations: 4096,
  password: "pencil",
  bare: "n=user,r=rOprNGfwEbeRWgbNEkqO",
  nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  serverFirst: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  withoutProof: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverSignature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
} as const;
