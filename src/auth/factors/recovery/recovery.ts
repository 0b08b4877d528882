import { createHmac, randomBytes } from "node:crypto";

import type { FormField } from "../../../../protocol/flow.ts";
import { isSameText } from "../../constant-time.ts";
import type { JsonObject } from "../../store.ts";
import type { Sealing } from "../../tokens/sealing.ts";
import { type Factor, type FactorContext, type FactorForm, factorSecretName } from "../factor.ts";

const codeField: FormField = { name: "code", type: "string", required: true };
const codeCount = 10;
/** Crockford's base32: no letter that looks like another or like a digit. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** 60 bits a code. */
const codeLength = 12;
const groupLength = 4;
const keyBytes = 32;

export interface RecoveryOptions {
  readonly id: string;
  readonly name: string;
  readonly sealing: Pick<Sealing, "seal" | "open">;
}

/**
 * Codes for the day on which the other factor is lost. Each lets its user in once. They are shown once, and only MACs of
 * them are kept, so a copy of the store does not say whether a guess is right.
 */
export function createRecovery({ id, name, sealing }: RecoveryOptions): Factor {
  const macOf = (key: Uint8Array, code: string, { userId }: FactorContext) =>
    createHmac("sha256", key)
      .update(JSON.stringify([userId, code]))
      .digest("base64url");
  const shown = (box: unknown, { userId }: FactorContext): FactorForm => {
    const codes = sealing.open(factorSecretName(id, userId), String(box)).toString();
    return { kind: "form", fields: [], secrets: { codes }, state: { codes: String(box) } };
  };
  return {
    id,
    type: "recovery",
    name,
    attempts: 5,
    guessable: true,
    backup: true,
    verifiesUser: false,
    async beginSetup(context) {
      const codes = Array.from({ length: codeCount }, newCode).join("\n");
      return shown(sealing.seal(factorSecretName(id, context.userId), Buffer.from(codes)), context);
    },
    async advanceSetup(_input, state, context) {
      const name = factorSecretName(id, context.userId);
      const codes = sealing.open(name, String(state.codes)).toString();
      // A key of their own: it can be sealed anew if the installation's secret is replaced.
      const key = randomBytes(keyBytes);
      const macs = codes.split("\n").map((code) => macOf(key, plain(code), context));
      return { kind: "done", data: { key: sealing.seal(name, key), macs } };
    },
    async begin() {
      return { kind: "form", fields: [codeField], state: {} };
    },
    async verify({ code }, { data, used }, _state, context) {
      const key = sealing.open(factorSecretName(id, context.userId), String(data.key));
      const given = macOf(key, plain(String(code)), context);
      const spent = textsOf(used?.macs);
      // Every code is compared, so the time does not say which one it was.
      const found = textsOf(data.macs).filter((mac) => isSameText(mac, given));
      const [mac] = found.filter((each) => !spent.includes(each));
      if (mac === undefined)
        return { kind: "form", fields: [codeField], errors: { base: "invalid_code" }, state: {} };
      return { kind: "proved", amr: ["otp"], verifiesUser: false, used: { macs: [...spent, mac] } };
    },
  };
}

function newCode(): string {
  // 256 is a multiple of 32, so five bits of each byte are uniform.
  const letters = [...randomBytes(codeLength)].map((byte) => alphabet.charAt(byte & 31)).join("");
  const groups: string[] = [];
  for (let start = 0; start < codeLength; start += groupLength)
    groups.push(letters.slice(start, start + groupLength));
  return groups.join("-");
}

/** Case, dashes and blanks are ignored, and O, I and L are read as digits. */
function plain(code: string): string {
  return code.toUpperCase().replaceAll(/[\s-]/g, "").replaceAll("O", "0").replaceAll(/[IL]/g, "1");
}

function textsOf(value: JsonObject[string]): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
