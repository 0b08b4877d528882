import { Secret, TOTP } from "otpauth";

import type { FormField } from "../../../../protocol/flow.ts";
import type { Clock } from "../../clock/clock.ts";
import type { Sealing } from "../../tokens/sealing.ts";
import { type Factor, type FactorContext, type FactorForm, factorSecretName } from "../factor.ts";
import { qrSvg } from "./qr-svg.ts";

/** RFC 6238 with what every authenticator app supports. */
const periodMs = 30_000;
const parameters = { algorithm: "SHA1", digits: 6, period: periodMs / 1000 } as const;
/** Periods before and after the current one whose codes are accepted: clocks differ. */
const drift = 1;
/** RFC 4226 section 4 recommends 160 bits. */
const secretBytes = 20;

const codeField: FormField = { name: "code", type: "string", required: true };

export interface TotpOptions {
  readonly id: string;
  readonly name: string;
  /** What authenticator apps show beside the user's name. */
  readonly issuer: string;
  readonly clock: Pick<Clock, "now">;
  readonly sealing: Pick<Sealing, "seal" | "open">;
}

/**
 * Codes of an authenticator app. A code is accepted once, and none of an earlier period after it. The secret is sealed
 * for its user, and is shown only while the factor is being set up.
 */
export function createTotp({ id, name, issuer, clock, sealing }: TotpOptions): Factor {
  const open = (box: unknown, { userId }: FactorContext) => {
    const bytes = sealing.open(factorSecretName(id, userId), String(box));
    return new Secret({ buffer: Uint8Array.from(bytes).buffer });
  };
  const setupForm = (box: string, context: FactorContext, errors = {}): FactorForm => {
    const secret = open(box, context);
    const url = new TOTP({ ...parameters, issuer, label: labelOf(context), secret }).toString();
    return {
      kind: "form",
      fields: [codeField],
      errors,
      secrets: { code: secret.base32, url, qr_code: qrSvg(url) },
      state: { secret: box },
    };
  };
  return {
    id,
    type: "totp",
    name,
    attempts: 5,
    guessable: true,
    backup: false,
    verifiesUser: false,
    async beginSetup(context) {
      const { bytes } = new Secret({ size: secretBytes });
      return setupForm(sealing.seal(factorSecretName(id, context.userId), bytes), context);
    },
    async advanceSetup({ code }, { secret: box }, context) {
      const period = periodOf(String(code), open(box, context), clock.now());
      if (period === undefined) return setupForm(String(box), context, { base: "invalid_code" });
      // The code that was shown at the set-up is used up by it.
      return { kind: "done", data: { secret: String(box), firstPeriod: period }, amr: ["otp"] };
    },
    async begin() {
      return { kind: "form", fields: [codeField], state: {} };
    },
    async verify({ code }, { data, used }, _state, context) {
      const period = periodOf(String(code), open(data.secret, context), clock.now());
      const last = Number(used?.period ?? data.firstPeriod);
      if (period === undefined || period <= last)
        return { kind: "form", fields: [codeField], errors: { base: "invalid_code" }, state: {} };
      return { kind: "proved", amr: ["otp"], verifiesUser: false, used: { period } };
    },
  };
}

/** Characters of a name in the code: with more, the URI of some would be too long for a QR code. */
const longestLabel = 48;

function labelOf({ userName }: FactorContext): string {
  const characters = [...userName];
  if (characters.length <= longestLabel) return userName;
  return `${characters.slice(0, longestLabel - 1).join("")}…`;
}

/** The period whose code it is. The comparison takes the same time for every code of the right length. */
function periodOf(code: string, secret: Secret, now: number): number | undefined {
  const token = code.replaceAll(/[\s-]/g, "");
  if (!/^[0-9]{6}$/.test(token)) return undefined;
  const delta = TOTP.validate({ ...parameters, token, secret, timestamp: now, window: drift });
  return delta === null ? undefined : Math.floor(now / periodMs) + delta;
}
