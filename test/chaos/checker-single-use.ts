import type { Violation } from "./checker.ts";
import type { Facts } from "./facts.ts";
import { named, type Operation } from "./operations.ts";

type Found = Omit<Violation, "times">;
type Given = Operation<"refresh"> & { readonly given: number };

/** A code is redeemed once. A store that lost the first redemption may not know. */
export function singleUseViolations({ operations, mayBeLost }: Facts): readonly Found[] {
  const first = new Map<string, Operation<"redeem">>();
  return named(operations, "redeem").flatMap((redeem): readonly Found[] => {
    if (redeem.phase !== "ok") return [];
    const before = first.get(redeem.secret);
    if (before === undefined) {
      first.set(redeem.secret, redeem);
      return [];
    }
    if (mayBeLost(before.endedAt <= redeem.endedAt ? before : redeem)) return [];
    return [
      {
        property: "single use",
        about: redeem.secret,
        says: "redeemed twice",
        proof: [before, redeem],
      },
    ];
  });
}

/**
 * Each step from one generation to the next is one use of the session's token: of the newest, or again of the previous
 * one, whose answer may have been lost. A second tab gets the newest, which another use has created.
 */
export function refreshViolations(facts: Facts): readonly Found[] {
  const bySession = new Map<string, Operation<"refresh">[]>();
  for (const refresh of named(facts.operations, "refresh")) {
    bySession.set(refresh.session, [...(bySession.get(refresh.session) ?? []), refresh]);
  }
  return [...bySession.values()].flatMap((all) => {
    const given = all.filter((one): one is Given => one.phase === "ok" && one.given !== undefined);
    return [
      ...given.flatMap((one) => skipped(one, all)),
      ...forks(given),
      ...given.flatMap((one) => backwards(one, given, facts)),
    ];
  });
}

/** A generation more than one step ahead exists only if the same number of other uses created those between. */
function skipped(one: Given, all: readonly Operation<"refresh">[]): readonly Found[] {
  const { given, presented, session } = one;
  if (given === presented + 1) return [];
  const witnesses = all.filter(
    (other) =>
      other !== one &&
      other.invokedAt < one.endedAt &&
      !(other.given !== undefined && other.given <= presented),
  );
  if (given > presented && witnesses.length >= given - presented - 1) return [];
  const says = `generation ${presented} was answered with ${given}, which no other use explains`;
  const same = all.find((other) => other !== one && other.presented === presented && other.phase === "ok");
  const proof = same === undefined ? [one] : [same, one];
  return [{ property: "single use", about: session, says, proof }];
}

/** Two tokens of one generation mean two holders, each with a live token. */
function forks(given: readonly Given[]): readonly Found[] {
  const first = new Map<number, Given>();
  return given.flatMap((one): readonly Found[] => {
    const before = first.get(one.given);
    if (before === undefined) first.set(one.given, one);
    if (before === undefined || before.token === one.token) return [];
    const says = `two tokens of generation ${one.given}`;
    return [{ property: "one live generation", about: one.session, says, proof: [before, one] }];
  });
}

/** A request that began after a generation was answered never gets an older one. */
function backwards(one: Given, given: readonly Given[], { mayBeLost }: Facts): readonly Found[] {
  const newer = given.find(
    (other) => other.endedAt < one.invokedAt && other.given > one.given && !mayBeLost(other),
  );
  if (newer === undefined) return [];
  const says = `generation ${one.given} was given after ${newer.given}`;
  return [{ property: "one live generation", about: one.session, says, proof: [newer, one] }];
}
