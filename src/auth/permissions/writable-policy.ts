import { type Policy, policyLimits } from "../../../protocol/policy.ts";
import { hasTooManyWildcards, isTopicPattern, topicLimits } from "../../../protocol/topic-pattern.ts";
import { AuthError } from "../errors.ts";
import { delegableCommands, isDelegableNamespace } from "./delegation.ts";

/**
 * Refuses what a group's policy may not say, although its schema allows it. Throws `invalid_policy`, with a text that
 * says what is wrong.
 */
export function requireGroupPolicy(policy: Policy): void {
  requirePolicyWithin(policy, policyLimits.bytes);
  const { commands } = policy;
  if (commands === undefined) return;
  if (commands === true || commands.namespaces === true)
    throw invalid("commands: only administrators may send all commands. Name namespaces.");
  for (const namespace of Object.keys(commands.namespaces ?? {}))
    if (!isDelegableNamespace(namespace))
      throw invalid(
        `commands.namespaces: ${namespace} is, or contains, what is for administrators alone. Others may get: ${delegableCommands.join(", ")}`,
      );
}

/** The same for any policy of at most `bytes` as JSON. */
export function requirePolicyWithin(policy: Policy, bytes: number): void {
  if (Buffer.byteLength(JSON.stringify(policy)) > bytes)
    throw invalid(`A policy has at most ${bytes} bytes as JSON.`);
  const { topics } = policy;
  if (topics === undefined || topics === true || topics.patterns === undefined || topics.patterns === true)
    return;
  // The schema cannot count segments.
  const patterns = Object.keys(topics.patterns);
  if (!patterns.every(isTopicPattern))
    throw invalid("topics.patterns: a pattern has at most 16 segments and 256 characters.");
  if (patterns.some(hasTooManyWildcards))
    throw invalid(`topics.patterns: a pattern has at most ${topicLimits.wildcards} segments +.`);
}

function invalid(publicMessage: string): AuthError {
  return new AuthError("invalid_policy", { publicMessage });
}
