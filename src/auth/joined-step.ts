import type { Step } from "./store.ts";

/**
 * One atomic step from several: all checks of all parts, then everything of the first part before the second's; durable
 * when one of them is.
 */
export function joinedStep(...parts: readonly (Step | undefined)[]): Step {
  const steps = parts.filter((part) => part !== undefined);
  return {
    check: steps.flatMap((step) => step.check ?? []),
    put: steps.flatMap((step) => step.put ?? []),
    remove: steps.flatMap((step) => step.remove ?? []),
    link: steps.flatMap((step) => step.link ?? []),
    unlink: steps.flatMap((step) => step.unlink ?? []),
    raise: steps.flatMap((step) => step.raise ?? []),
    raiseTo: steps.flatMap((step) => step.raiseTo ?? []),
    log: steps.flatMap((step) => step.log ?? []),
    durable: steps.some((step) => step.durable === true),
  };
}
