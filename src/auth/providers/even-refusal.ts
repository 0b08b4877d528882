import { randomInt } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

/** Refusals of a backend come at multiples of this time after the try began, ms, and a random part of `jitterMs` later. */
const stepMs = 250;
const jitterMs = 20;

/**
 * Delays a refusal, so that its time does not tell what the backend did: a directory computes no hash for a name that it
 * does not know. A backend whose times differ by more than a step still shows that.
 */
export async function evenRefusal<Step>(startedAt: number, refusal: Step): Promise<Step> {
  const elapsed = performance.now() - startedAt;
  const steps = Math.max(1, Math.ceil(elapsed / stepMs));
  await pause(steps * stepMs - elapsed + randomInt(jitterMs * 1_000) / 1_000);
  return refusal;
}
