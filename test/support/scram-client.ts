import { scryptSync } from "node:crypto";

import type { FlowStep, FormStep } from "../../protocol/flow.ts";
import { beginScram, type ScramClient } from "../../src/client/scram.ts";
import type { Scrypt } from "../../src/client/scrypt.ts";

/** The cheapest cost at which a password is proved. */
export const proofScrypt = { N: 2 ** 15, r: 8, p: 3 } as const;

const computed = new Map<string, Uint8Array>();

/** scrypt that remembers its results, so that a test pays once for each password and salt. */
export const rememberedScrypt: Scrypt = async (password, salt, cost) => {
  const key = JSON.stringify([[...password], [...salt], cost]);
  const known = computed.get(key) ?? scryptSync(password, salt, 32, { ...cost, maxmem: 2 ** 30 });
  computed.set(key, known);
  return Uint8Array.from(known);
};

export interface Proving {
  readonly client: ScramClient;
  /** For `auth/login/start`, and for the answer to a form. */
  readonly input: { readonly mechanism: string; readonly initial_response: string };
  /** The answer to the server's first message, and what the server must answer then. */
  final(
    step: FlowStep,
    password: string,
    bound?: Uint8Array,
  ): Promise<{ readonly client_final: string; readonly serverFinal: string }>;
}

export function proving(
  username: string,
  mechanisms: readonly string[] = ["SCRAM-SCRYPT"],
  canBind = false,
): Proving {
  const client = beginScram(username, mechanisms, canBind);
  return {
    client,
    input: { mechanism: client.mechanism, initial_response: client.first },
    async final(step, password, bound) {
      const sign = await client.sign(serverFirstOf(step), password, rememberedScrypt, () => undefined);
      const { message, serverFinal } = sign(bound);
      return { client_final: message, serverFinal };
    },
  };
}

export function serverFirstOf(step: FlowStep): string {
  return formOf(step).description_placeholders?.server_first ?? "";
}

export function formOf(step: FlowStep): FormStep {
  if (step.type !== "form") throw new Error(`a step of type ${step.type}`);
  return step;
}
