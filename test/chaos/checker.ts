import { refreshViolations, singleUseViolations } from "./checker-single-use.ts";
import { type Death, type Facts, factsOf, type Life } from "./facts.ts";
import type { Entry } from "./history.ts";
import { lineOf, named, type Operation } from "./operations.ts";

export type Property =
  | "no use after revoke"
  | "no use after effective all"
  | "no use of a lost right"
  | "once dead, dead for ever"
  | "no lost acknowledgement"
  | "no false cut"
  | "single use"
  | "one live generation"
  | "answers after heal";

export interface Violation {
  readonly property: Property;
  /** The session, or the code. */
  readonly about: string;
  readonly says: string;
  /** The operations that prove it, in order: what had been promised, then what broke it. */
  readonly proof: readonly Operation[];
  /** How often it happened; the proof is of the first. */
  readonly times: number;
}

export interface CheckerOptions {
  /** How long after a revoke's answer other nodes may go on, under one fault. */
  readonly boundMs?: number;
  /**
   * How late this process may read what was sent in time. It is given only where the server's sending cannot be told from the
   * reading: what was *asked* after the bound has none.
   */
  readonly slackMs?: number;
}

/** Who asks, once everything has been put right, what became of each session. */
export const endStateActor = "end";

/**
 * Decides whether a history keeps the promises. Reads nothing but the history, so a history that was written down is
 * judged again the same way. What is not known to have happened (`info`) never proves anything against the server; it
 * may excuse it.
 */
export function check(entries: readonly Entry[], options: CheckerOptions = {}): readonly Violation[] {
  const facts = factsOf(entries);
  const limits = { boundMs: options.boundMs ?? 5_000, slackMs: options.slackMs ?? 250 };
  return firstOfEach([
    ...afterRevoke(facts, limits),
    ...afterAll(facts, limits),
    ...lostRights(facts, limits),
    ...deadForEver(facts, limits),
    ...lostAcknowledgements(facts),
    ...falseCuts(facts),
    ...singleUseViolations(facts),
    ...refreshViolations(facts),
    ...withoutAnswer(facts),
  ]);
}

export function textOf(violations: readonly Violation[]): string {
  return violations
    .map(({ property, about, says, proof, times }) => {
      const head = `${property}: ${about}: ${says}${times > 1 ? ` (${times} times)` : ""}`;
      return [head, ...proof.map((operation) => `    ${lineOf(operation)}`)].join("\n");
    })
    .join("\n");
}

type Found = Omit<Violation, "times">;
type Limits = Required<CheckerOptions>;

function firstOfEach(found: readonly Found[]): readonly Violation[] {
  const groups = new Map<string, { first: Found; times: number }>();
  for (const one of found) {
    const key = `${one.property}\n${one.about}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { first: one, times: 1 });
    else group.times += 1;
  }
  return [...groups.values()].map(({ first, times }) => ({ ...first, times }));
}

/** Asked after `at`, or answered so late after it that the answer was not merely read late. */
function isAfter(life: Operation, at: number, { slackMs }: Limits): boolean {
  return (life.invokedAt > at && life.invokedAt !== life.endedAt) || life.endedAt > at + slackMs;
}

function afterRevoke({ revoked, lives, covers }: Facts, limits: Limits): readonly Found[] {
  return revoked.flatMap(({ operation, at, shownBy }) =>
    lives
      .filter((life) => covers(operation, life) && isAfter(life, at + limits.boundMs, limits))
      .map((life) => ({
        property: "no use after revoke" as const,
        about: life.session,
        says: `${life.op} on ${life.node} ${late(life, at)} after it was revoked`,
        proof: [operation, ...(shownBy === undefined ? [] : [shownBy]), life],
      })),
  );
}

function afterAll({ revokes, lives, covers }: Facts, limits: Limits): readonly Found[] {
  return revokes
    .filter(({ phase, receipt }) => phase === "ok" && receipt?.effective === "all")
    .flatMap((revoke) =>
      lives
        .filter((life) => covers(revoke, life) && isAfter(life, revoke.endedAt, limits))
        .map((life) => ({
          property: "no use after effective all" as const,
          about: life.session,
          says: `${life.op} on ${life.node} ${late(life, revoke.endedAt)} after the answer`,
          proof: [revoke, life],
        })),
    );
}

/** What narrows a user without ending a session binds like a revoke, whoever was let in before. */
function lostRights({ operations, lives }: Facts, limits: Limits): readonly Found[] {
  return named(operations, "narrow")
    .filter(({ phase }) => phase === "ok")
    .flatMap((narrowing) =>
      lives
        .filter(
          (life) =>
            life.user === narrowing.user &&
            life.needs?.includes(narrowing.takes) === true &&
            isAfter(life, narrowing.endedAt + limits.boundMs, limits),
        )
        .map((life) => ({
          property: "no use of a lost right" as const,
          about: life.session,
          says: `${life.op} on ${life.node} ${late(life, narrowing.endedAt)} after "${narrowing.takes}" was taken`,
          proof: [narrowing, life],
        })),
    );
}

/**
 * The node that said it may never take it back, whatever its restarts. A refusal to refresh is the store's word, which
 * can be ahead of what the node has heard: it binds every node's refreshes at once, unless the store lost something, and
 * everything else after the bound's time. So long have other nodes to hear of it.
 */
function deadForEver({ deaths, lives, losses }: Facts, limits: Limits): readonly Found[] {
  const first = new Map<string, Death[]>();
  for (const death of deaths) {
    const of = first.get(death.session) ?? [];
    const isNews = of.every(({ node, op }) => node !== death.node || (op === "refresh" && death.op !== op));
    if (isNews) first.set(death.session, [...of, death]);
  }
  return lives.flatMap((life) => {
    const death = first.get(life.session)?.find(({ endedAt, node, op }) => {
      const sameWord = op !== "refresh" || life.op === "refresh";
      const atOnce = (node === life.node && sameWord) || (life.op === "refresh" && losses.length === 0);
      return isAfter(life, endedAt + (atOnce ? 0 : limits.boundMs), limits);
    });
    if (death === undefined) return [];
    const says = `${life.op} on ${life.node} ${late(life, death.endedAt)} after ${death.node} said that it is over`;
    return [
      { property: "once dead, dead for ever" as const, about: life.session, says, proof: [death, life] },
    ];
  });
}

/** Only after the final heal: before it, the bound speaks. */
function lostAcknowledgements({ revokes, lives, covers, quietAt }: Facts): readonly Found[] {
  if (quietAt === undefined) return [];
  return revokes
    .filter(({ phase, endedAt }) => phase === "ok" && endedAt < quietAt)
    .flatMap((revoke) =>
      lives
        .filter((life) => life.invokedAt >= quietAt && covers(revoke, life))
        .map((life) => ({
          property: "no lost acknowledgement" as const,
          about: life.session,
          says: `${life.op} on ${life.node} when all was healed`,
          proof: [revoke, life],
        })),
    );
}

function falseCuts({ deaths, revokes, mayCover, mayBeLost, openedAt }: Facts): readonly Found[] {
  return deaths
    .filter((death) => !revokes.some((one) => one.invokedAt <= death.endedAt && mayCover(one, death)))
    .filter(({ session }) => !mayBeLost(openedAt(session)))
    .map((death) => ({
      property: "no false cut" as const,
      about: death.session,
      says: `${death.node} says that it is over, and nobody asked for that`,
      proof: [death],
    }));
}

/** At the end every session that was asked about has its answer, and everything that was revoked was asked about. */
function withoutAnswer(facts: Facts): readonly Found[] {
  const { operations, quietAt } = facts;
  if (quietAt === undefined) return [];
  const asked = [...named(operations, "authenticate"), ...named(operations, "refresh")].filter(
    ({ actor, invokedAt }) => actor === endStateActor && invokedAt >= quietAt,
  );
  const place = (one: (typeof asked)[number]) => `${one.op} ${one.session} ${one.node}`;
  const answered = new Set(asked.filter(({ phase }) => phase !== "info").map(place));
  const silent = asked
    .filter((one) => !answered.has(place(one)))
    .map((one) => ({ about: one.session, says: `no answer to ${one.op} on ${one.node}`, proof: [one] }));
  return [...silent, ...notAsked(facts, new Set(asked.map(({ session }) => session)))].map((one) => ({
    property: "answers after heal" as const,
    ...one,
  }));
}

function notAsked({ revokes, lives, covers, quietAt }: Facts, asked: ReadonlySet<string>) {
  const acknowledged = revokes.filter(({ phase, endedAt }) => phase === "ok" && endedAt < (quietAt ?? 0));
  return acknowledged.flatMap((revoke) =>
    lives
      .filter((life: Life) => !asked.has(life.session) && covers(revoke, life))
      .map(({ session }) => ({ about: session, says: "revoked, and nobody asked", proof: [revoke] })),
  );
}

function late(life: Operation, at: number): string {
  return `${Math.round(life.endedAt - at)} ms`;
}
