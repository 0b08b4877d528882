import type { Policy } from "../../../protocol/policy.ts";

/** A policy, or a part of one. */
type Part = true | { readonly [key: string]: Part | undefined };

/**
 * What any of the policies grants, as Home Assistant merges the policies of groups: at each place `true` wins, and what
 * is named in several is merged.
 */
export function mergePolicies(policies: readonly Policy[]): Policy {
  return mergeParts(policies as readonly Part[]) as Policy;
}

function mergeParts(parts: readonly Part[]): Part {
  const maps: { readonly [key: string]: Part | undefined }[] = [];
  for (const part of parts) {
    if (part === true) return true;
    maps.push(part);
  }
  const byKey = new Map<string, Part[]>();
  for (const [key, value] of maps.flatMap((map) => Object.entries(map))) {
    if (value === undefined || value === null) continue;
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [value]);
    else known.push(value);
  }
  return Object.fromEntries([...byKey].map(([key, values]) => [key, mergeParts(values)]));
}
