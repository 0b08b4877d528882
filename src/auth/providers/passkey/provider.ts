import type { Clock } from "../../clock/clock.ts";
import { readEnrolments } from "../../factors/enrolments.ts";
import type { Factor } from "../../factors/factor.ts";
import { createFactorProofs } from "../../factors/factor-proofs.ts";
import { type KeyForms, userHandleField } from "../../factors/webauthn/webauthn.ts";
import type { JsonObject, Store } from "../../store.ts";
import { defaultLoginBudgets } from "../../throttling/login-throttle.ts";
import type { AskingForm, LoginProvider } from "../provider.ts";
import { shownName } from "../provider-type.ts";

export const passkeyType = "passkey";

export interface PasskeyProviderOptions {
  readonly id: string | null;
  readonly name?: string | undefined;
  /** The factor whose keys let their users in. It verifies its holders. */
  readonly keys: Factor & KeyForms;
  readonly store: Store;
  readonly clock: Clock;
}

const idShape = /^[0-9a-f]{32}$/;

/**
 * Logs people in with a passkey alone: the browser shows which there are, and the key verifies who holds it, so it is two
 * factors. The keys are those that people have set up as second factors. It makes no users.
 */
export function createPasskeyProvider({
  id,
  name,
  keys,
  store,
  clock,
}: PasskeyProviderOptions): LoginProvider {
  // Keys cannot be guessed, so nothing is charged.
  const proofs = createFactorProofs({
    store,
    clock,
    factors: [keys],
    budget: defaultLoginBudgets.secondFactor,
  });
  const form = async (errors = {}): Promise<AskingForm> => {
    const { fields, placeholders, state } = await keys.discoverable();
    return { kind: "form", stepId: "init", fields, errors, placeholders, state };
  };
  return {
    type: passkeyType,
    id,
    name: shownName("Passkey", { id, name }),
    supportsMfa: true,
    isUnreliable: true,
    knows: async (userId) => proofs.offered(await readEnrolments(store, userId)).length > 0,
    begin: () => form(),
    async advance(_stepId, { [userHandleField]: handle, ...input }, state: JsonObject, { flowId }) {
      const userId = Buffer.from(String(handle), "base64url").toString("latin1");
      // The answer is the same for a user who does not exist, has no keys, or has another one: it names nobody's keys.
      if (!idShape.test(userId)) return await form({ base: "invalid_passkey" });
      const verdict = await proofs.verify(keys, input, state, { userId, userName: "", flowId });
      if (verdict.kind !== "proved") return await form({ base: "invalid_passkey" });
      const { amr, evidence } = verdict;
      const refused = await form({ base: "invalid_passkey" });
      return {
        kind: "done",
        subject: userId,
        linkTo: userId,
        amr,
        provesTwo: true,
        evidence,
        userId,
        form: refused,
      };
    },
  };
}
