import type { LoginProvider, ProviderContext, ProviderStep } from "../providers/provider.ts";
import type { StartLogin } from "./login-flows.ts";

/** The provider's first step. If that is a form with the mechanism of the request, what follows on its first message. */
export async function firstStep(
  provider: LoginProvider,
  { initial }: Pick<StartLogin, "initial">,
  context: ProviderContext,
): Promise<ProviderStep> {
  const begun = await provider.begin(context);
  const answers = begun.kind === "form" && begun.mechanisms?.includes(initial?.mechanism ?? "") === true;
  if (!answers || initial === undefined) return begun;
  const input = { mechanism: initial.mechanism, initial_response: initial.response };
  return await provider.advance(begun.stepId, input, begun.state ?? {}, context);
}
