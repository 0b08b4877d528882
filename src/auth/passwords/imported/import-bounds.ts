import { areParametersSane, memoryOf } from "../scrypt-parameters.ts";
import { costText, type ImportedCost } from "./imported-cost.ts";

/**
 * What imported hashes may cost. Every login by form runs all of their costs, see `Passwords.verify`, so their sum is
 * bounded too.
 */
export const importBounds = {
  /** Of one run. */
  memoryBytes: 256 * 2 ** 20,
  milliseconds: 1_500,
  /** Of all costs of an installation together. */
  kinds: 4,
  totalMilliseconds: 3_000,
} as const;

/** Milliseconds on a core of the 2020s for one unit of work of each function, as measured. */
const unitMs = {
  bcrypt: 0.054,
  argon2: 0.00107,
  pbkdf2: { sha1: 0.00016, sha256: 0.00016, sha512: 0.00036 },
  scrypt: 0.00027,
} as const;
const digestBytes = { sha1: 20, sha256: 32, sha512: 64 } as const;

function memoryOfCost(cost: ImportedCost): number {
  if (cost.kdf === "bcrypt" || cost.kdf === "pbkdf2") return 0;
  return cost.kdf === "scrypt" ? memoryOf(cost) : cost.memoryKiB * 1024;
}

function millisecondsOf(cost: ImportedCost): number {
  switch (cost.kdf) {
    case "bcrypt":
      return 2 ** cost.cost * unitMs.bcrypt;
    case "pbkdf2":
      return cost.iterations * Math.ceil(cost.bytes / digestBytes[cost.digest]) * unitMs.pbkdf2[cost.digest];
    case "scrypt":
      return cost.N * cost.r * cost.p * unitMs.scrypt;
    default:
      return cost.memoryKiB * cost.passes * unitMs.argon2;
  }
}

/** Why a hash with this cost is never checked; undefined if it may be. */
export function problemOfCost(cost: ImportedCost): string | undefined {
  const text = costText(cost);
  if (cost.kdf === "bcrypt" && (cost.cost < 4 || cost.cost > 31))
    return `${text} is not a cost of bcrypt (4 to 31)`;
  if (cost.kdf === "scrypt" && !areParametersSane(cost)) return `${text} is out of the bounds of this server`;
  if (cost.kdf !== "bcrypt" && cost.kdf !== "pbkdf2" && cost.kdf !== "scrypt") {
    if (cost.lanes > 255) return `${text} has more than 255 lanes`;
    if (cost.memoryKiB < 8 * cost.lanes) return `${text} has less memory than 8 KiB for each lane`;
  }
  const { memoryBytes, milliseconds } = importBounds;
  if (memoryOfCost(cost) > memoryBytes)
    return `${text} needs more than ${memoryBytes / 2 ** 20} MiB for each check`;
  const ms = Math.round(millisecondsOf(cost));
  return ms > milliseconds
    ? `${text} takes about ${ms} ms for each check; the bound is ${milliseconds} ms`
    : undefined;
}

/** Why these costs cannot be in use together; undefined if they can. Each is given once. */
export function problemOfCosts(costs: readonly ImportedCost[]): string | undefined {
  const { kinds, totalMilliseconds } = importBounds;
  const list = () =>
    costs
      .slice(0, kinds + 1)
      .map(costText)
      .join("; ");
  if (costs.length > kinds)
    return `hashes of ${costs.length} different costs (${list()} ...): each login runs them all, so at most ${kinds} are in use at a time`;
  const ms = Math.round(costs.reduce((sum, cost) => sum + millisecondsOf(cost), 0));
  return ms > totalMilliseconds
    ? `hashes whose costs take about ${ms} ms together (${list()}): each login runs them all, and the bound is ${totalMilliseconds} ms`
    : undefined;
}

export function areAffordable(costs: readonly ImportedCost[]): boolean {
  return costs.every((cost) => problemOfCost(cost) === undefined);
}
