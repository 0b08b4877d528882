import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

/** What a page sends for a form of a passkey. */
export type PasskeyInput = Readonly<Record<string, string>>;

interface Asked {
  readonly challenge: string;
  readonly rp?: { readonly id: string };
  readonly rpId?: string;
}

/** A security key without hardware: WebAuthn level 3, ES256, attestation `none`. Tests change what it says. */
export class SoftwareAuthenticator {
  readonly id = randomBytes(32);
  readonly #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  /** 0: it does not count. */
  counter = 0;
  verifiesUser = true;
  origin: string;

  constructor(origin: string) {
    this.origin = origin;
  }

  create(options: string): PasskeyInput {
    const asked = JSON.parse(options) as Asked;
    const { x = "", y = "" } = this.#keys.publicKey.export({ format: "jwk" });
    const coseKey = Buffer.concat([
      Buffer.from("a5010203262001215820", "hex"),
      Buffer.from(x, "base64url"),
      Buffer.from("225820", "hex"),
      Buffer.from(y, "base64url"),
    ]);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(this.id.length);
    const credential = Buffer.concat([Buffer.alloc(16), length, this.id, coseKey]);
    const authData = this.#authData(asked.rp?.id ?? "", 0x40, credential);
    const authLength = Buffer.alloc(2);
    authLength.writeUInt16BE(authData.length);
    const attestation = Buffer.concat([
      Buffer.from("a363666d74646e6f6e656761747453746d74a068617574684461746159", "hex"),
      authLength,
      authData,
    ]);
    return {
      ...this.#answer("webauthn.create", asked),
      attestation_object: attestation.toString("base64url"),
      transports: "usb",
    };
  }

  get(options: string): PasskeyInput {
    const asked = JSON.parse(options) as Asked;
    if (this.counter > 0) this.counter += 1;
    const answer = this.#answer("webauthn.get", asked);
    const authData = this.#authData(asked.rpId ?? "", 0);
    const hash = createHash("sha256").update(Buffer.from(answer.client_data_json, "base64url")).digest();
    const signature = sign("sha256", Buffer.concat([authData, hash]), this.#keys.privateKey);
    return {
      ...answer,
      authenticator_data: authData.toString("base64url"),
      signature: signature.toString("base64url"),
    };
  }

  #answer(type: string, { challenge }: Asked) {
    const clientData = JSON.stringify({ type, challenge, origin: this.origin, crossOrigin: false });
    return {
      credential_id: this.id.toString("base64url"),
      client_data_json: Buffer.from(clientData).toString("base64url"),
    };
  }

  #authData(rpId: string, moreFlags: number, more = Buffer.alloc(0)): Buffer {
    const head = Buffer.alloc(5);
    head.writeUInt8(0x01 | (this.verifiesUser ? 0x04 : 0) | moreFlags);
    head.writeUInt32BE(this.counter, 1);
    return Buffer.concat([createHash("sha256").update(rpId).digest(), head, more]);
  }
}
