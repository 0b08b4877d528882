import { createHmac, createSecretKey, randomInt } from "node:crypto";
import type { FormField } from "../../../../protocol/flow.ts";
import type { Clock } from "../../clock/clock.ts";
import { isSameText } from "../../constant-time.ts";
import type { JsonObject } from "../../store.ts";
import type { ChargeAttempt } from "../../throttling/attempts.ts";
import { counterOf } from "../../throttling/counter-record.ts";
import type { Sealing } from "../../tokens/sealing.ts";
import { type Factor, type FactorContext, type FactorForm, factorSecretName } from "../factor.ts";
import type { SendCode } from "./sender.ts";

const targetField: FormField = { name: "target", type: "string", required: true };
const codeField: FormField = { name: "code", type: "string", required: true };
const longestTarget = 256;
/** How long a code is good, ms. */
const lifeMs = 5 * 60_000;

export interface NotifyOptions {
  readonly id: string;
  readonly name: string;
  /** Whether people say where they want the code; otherwise whoever sends it knows. */
  readonly asksForTarget: boolean;
  /** `{}` stands for the code, as in Home Assistant. */
  readonly message: string;
  readonly send: SendCode;
  /** Limits the messages of a person, on all nodes together. */
  readonly charge: ChargeAttempt;
  readonly clock: Pick<Clock, "now">;
  readonly sealing: Pick<Sealing, "seal" | "open" | "derive">;
}

/**
 * One-time codes that somebody else delivers. Each try has its own code: six digits, good for five minutes and for that try
 * alone. Only a MAC of it is kept.
 */
export function createNotify(options: NotifyOptions): Factor {
  const { id, name, clock, sealing, asksForTarget } = options;
  const key = createSecretKey(sealing.derive("codes that are sent 1"));
  const macOf = (code: string, { userId, flowId }: FactorContext) =>
    createHmac("sha256", key)
      .update(JSON.stringify([id, userId, flowId, code]))
      .digest("base64url");
  const sealed = (target: string, { userId }: FactorContext) =>
    sealing.seal(factorSecretName(id, userId), Buffer.from(target));
  const opened = (box: unknown, { userId }: FactorContext) =>
    sealing.open(factorSecretName(id, userId), String(box)).toString();
  const sendCode = async (box: string, context: FactorContext): Promise<JsonObject> => {
    const { userId, userName } = context;
    await options.charge(counterOf.factorMessage(userId));
    const code = String(randomInt(1_000_000)).padStart(6, "0");
    const message = options.message.replaceAll("{}", code);
    await options.send({ userId, userName, target: opened(box, context), code, message });
    return { target: box, mac: macOf(code, context), sentAt: clock.now() };
  };
  const isRight = (code: unknown, { mac, sentAt }: JsonObject, context: FactorContext) => {
    const given = macOf(String(code).replaceAll(/[\s-]/g, ""), context);
    const age = clock.now() - Number(sentAt);
    return isSameText(given, String(mac)) && age >= -lifeMs && age < lifeMs;
  };
  const codeForm = (state: JsonObject, errors = {}): FactorForm => ({
    kind: "form",
    stepId: "setup",
    fields: [codeField],
    errors,
    state,
  });
  const targetForm = (errors = {}): FactorForm => ({
    kind: "form",
    fields: [targetField],
    errors,
    state: { asks: true },
  });
  return {
    id,
    type: "notify",
    name,
    attempts: 3,
    guessable: true,
    backup: false,
    verifiesUser: false,
    async beginSetup(context) {
      return asksForTarget ? targetForm() : codeForm(await sendCode(sealed("", context), context));
    },
    async advanceSetup(input, state, context) {
      if (state.asks === true) {
        const target = String(input.target).trim();
        if (!isTarget(target)) return targetForm({ target: "invalid_target" });
        return codeForm(await sendCode(sealed(target, context), context));
      }
      if (!isRight(input.code, state, context)) return codeForm(state, { base: "invalid_code" });
      return { kind: "done", data: { target: String(state.target) }, amr: ["otp"] };
    },
    async begin({ data }, context) {
      return codeForm(await sendCode(String(data.target), context));
    },
    async verify({ code }, _enrolled, state, context) {
      if (!isRight(code, state, context)) return codeForm(state, { base: "invalid_code" });
      // It is the code of this try alone, which ends with it.
      return { kind: "proved", amr: ["otp"], verifiesUser: false, used: null };
    },
  };
}

function isTarget(text: string): boolean {
  return text !== "" && text.length <= longestTarget && !/\p{Cc}|\p{Surrogate}/u.test(text);
}
