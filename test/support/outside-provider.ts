import type { LoginProvider, ProviderStep } from "../../src/auth/providers/provider.ts";

/**
 * A provider whose steps are completed externally: by a browser's return, or by an approval. The input of the
 * completion determines the next step. Its users have a login of the local provider, which it replaces.
 */
export function outsideProvider(subject: string): LoginProvider & { readonly asked: number } {
  let asked = 0;
  return {
    type: "homeassistant",
    id: null,
    name: "Outside",
    supportsMfa: true,
    get asked() {
      return asked;
    },
    begin: async ({ flowId }) => external(flowId),
    async advance(stepId, input, state, { flowId }) {
      asked += 1;
      const steps: Record<string, ProviderStep> = {
        external: external(flowId),
        progress: {
          kind: "progress",
          stepId: "approval",
          action: "wait_for_approval",
          placeholders: { code: "4711" },
          state: { after: stepId },
        },
        form: {
          kind: "form",
          stepId: "name",
          fields: [{ name: "name", type: "string", required: true }],
          state,
        },
        wrong: {
          kind: "form",
          stepId: "name",
          fields: [{ name: "name", type: "string", required: true }],
          errors: { base: "invalid_auth" },
        },
        no: { kind: "abort", reason: "refused" },
        yes: { kind: "done", subject, amr: ["user"], evidence: [], userId: "whom" },
        stranger: { kind: "done", subject: "nobody", amr: ["user"], evidence: [] },
      };
      const step = steps[String(input.answer ?? input.name)];
      if (step === undefined) throw new Error("the provider's own fault");
      return step;
    },
  };
}

function external(flowId: string): ProviderStep {
  return {
    kind: "external",
    stepId: "browser",
    url: `https://elsewhere.test/authorize?state=${flowId}`,
    placeholders: { name: "Elsewhere" },
    state: { nonce: "n" },
  };
}
