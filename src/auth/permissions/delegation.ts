import { isInNamespace } from "./command-rules.ts";

/**
 * The commands of administrators that a policy can give to others. Each of them compares what it does with the rights of
 * its sender. A command that is not here is for administrators alone, whatever a policy says.
 */
export const delegableNamespaces: readonly string[] = [];

export function isDelegable(type: string): boolean {
  return delegableNamespaces.some((namespace) => isInNamespace(type, namespace));
}
