import { isSameCode, readableCode } from "../passwords/readable-code.ts";
import type { Sealing } from "../tokens/sealing.ts";

/** 100 bits in four groups of five, derived from the installation's secret and id. Nothing is stored. */
export function setupCodeOf(sealing: Sealing, instanceId: string): string {
  return readableCode(sealing.derive(`set-up code 1 ${instanceId}`));
}

/** Compares in constant time, see `isSameCode`. */
export const isSetupCode = isSameCode;
