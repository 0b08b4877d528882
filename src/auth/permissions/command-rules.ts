import type { CommandPolicy } from "../../../protocol/policy.ts";
import { everythingRule, type Rule } from "./map-rules.ts";

/** Whether a command belongs to a namespace: it is the namespace, or begins with it and `/`. */
export function isInNamespace(type: string, namespace: string): boolean {
  return type === namespace || type.startsWith(`${namespace}/`);
}

/** The rules of a policy about the commands of administrators. Whatever the verb, a command may be sent or not. */
export function commandRules(policy: CommandPolicy | undefined): readonly Rule[] {
  if (policy === undefined) return [];
  if (policy === true) return [everythingRule("commands")];
  const { namespaces } = policy;
  if (namespaces === undefined) return [];
  if (namespaces === true) return [everythingRule("namespaces")];
  const granted = Object.keys(namespaces);
  return [
    { name: "namespaces", grants: (type) => granted.some((namespace) => isInNamespace(type, namespace)) },
  ];
}
