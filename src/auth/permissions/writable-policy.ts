import { type Policy, policyLimits } from "../../../protocol/policy.ts";
import { AuthError } from "../errors.ts";
import { delegableCommands, isDelegableNamespace } from "./delegation.ts";
import { policyProblem } from "./policy-problem.ts";

/**
 * Refuses what a group's policy may not say, although its schema allows it. Throws `invalid_policy`, with a text that
 * says what is wrong.
 */
export function requireGroupPolicy(policy: Policy): void {
  requirePolicyWithin(policy, policyLimits.bytes);
  const { commands } = policy;
  if (commands === undefined) return;
  if (commands === true || commands.namespaces === true)
    throw invalid("commands: only administrators may send all commands. Name some in commands.namespaces.");
  for (const namespace of Object.keys(commands.namespaces ?? {}))
    if (!isDelegableNamespace(namespace))
      throw invalid(
        `commands.namespaces: ${namespace} is no namespace of commands, or contains one that is for administrators alone. Others may get: ${delegableCommands.join(", ")}`,
      );
}

/** The same for any policy of at most `bytes` as JSON. */
export function requirePolicyWithin(policy: Policy, bytes: number): void {
  if (Buffer.byteLength(JSON.stringify(policy)) > bytes)
    throw invalid(`A policy has at most ${bytes} bytes as JSON.`);
  // The schema does not say everything about patterns.
  const problem = policyProblem(policy);
  if (problem !== undefined) throw invalid(problem);
}

function invalid(publicMessage: string): AuthError {
  return new AuthError("invalid_policy", { publicMessage });
}
