import type { Step } from "./store.ts";

/** One atomic step from several: all checks of all parts, then everything of the first part before the second's. */
export function joinedStep(...parts: readonly (Step | undefined)[]): Step {
  const steps = parts.filter((part) => part !== undefined);
  return {
    check: steps.flatMap((step) => step.check ?? []),
    put: steps.flatMap((step) => step.put ?? []),
    remove: steps.flatMap((step) => step.remove ?? []),
    link: steps.flatMap((step) => step.link ?? []),
    unlink: steps.flatMap((step) => step.unlink ?? []),
    raise: steps.flatMap((step) => step.raise ?? []),
    log: steps.flatMap((step) => step.log ?? []),
  };
}
