import { refreshViolations, singleUseViolations } from "./checker-single-use.ts";
import { type EndOperation, type Facts, factsOf, type UseOperation } from "./facts.ts";
import type { Entry } from "./history.ts";
import { lineOf, named, type Operation } from "./operations.ts";

export type Property =
  | "no use after revoke"
  | "no use after effective all"
  | "no use of a lost right"
  | "an ended session stays ended"
  | "no lost acknowledgement"
  | "no false logout"
  | "single use"
  | "one live generation"
  | "answers after heal";

export interface Violation {
  readonly property: Property;
  /** The session or the code. */
  readonly about: string;
  readonly says: string;
  /** The operations that prove it, in order: first the promise, then the violation. */
  readonly proof: readonly Operation[];
  /** How often it happened; the proof is of the first. */
  readonly times: number;
}

export interface CheckerOptions {
  /** How long after a revoke's answer other nodes may still serve, under one fault. */
  readonly boundMs?: number;
  /**
   * How late this process may read what was sent in time. It applies only if sending and reading cannot be
   * distinguished: a request that *began* after the bound gets none.
   */
  readonly slackMs?: number;
}

/** The actor that asks what became of each session, once all faults are healed. */
export const endStateActor = "end";

/**
 * Decides whether a history keeps the promises. It reads nothing else, so a stored history gets the same verdict. An
 * operation with an unknown outcome (`info`) never proves anything against the server; it may excuse it.
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

/** Began after `at`, or was answered so late after it that late reading does not explain it. */
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

/**
 * How long after the answer the right may still be used at a node. What is read of topics is decided for each message, so
 * the node that answered has none, and no node has any once the answer says so.
 */
function usableFor(narrowing: Operation<"narrow">, node: string, { boundMs }: Limits): number {
  const isOver = narrowing.node === node || narrowing.receipt?.effective === "all";
  return narrowing.takes === "topic" && isOver ? 0 : boundMs;
}

/** Taking a right without ending a session counts like a revoke, for sessions opened at any time before. */
function lostRights({ operations, lives }: Facts, limits: Limits): readonly Found[] {
  return named(operations, "narrow")
    .filter(({ phase }) => phase === "ok")
    .flatMap((narrowing) =>
      lives
        .filter(
          (life) =>
            life.user === narrowing.user &&
            life.needs?.includes(narrowing.takes) === true &&
            isAfter(life, narrowing.endedAt + usableFor(narrowing, life.node, limits), limits),
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
 * The node that reported the end may never take it back, not even after restarts. A refusal to refresh is the store's
 * answer, which can be ahead of the node's view. It holds for every node's refreshes at once, unless the store lost
 * data, and for everything else after the bound, because other nodes need that time to learn of it.
 */
function deadForEver({ deaths, lives, losses }: Facts, limits: Limits): readonly Found[] {
  const first = new Map<string, EndOperation[]>();
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
    const says = `${life.op} on ${life.node} ${late(life, death.endedAt)} after ${death.node} reported its end`;
    return [
      { property: "an ended session stays ended" as const, about: life.session, says, proof: [death, life] },
    ];
  });
}

/** Only after the final heal: before it, the bound applies. */
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
          says: `${life.op} on ${life.node} when all faults were healed`,
          proof: [revoke, life],
        })),
    );
}

function falseCuts({ deaths, revokes, mayCover, openingMayBeLost }: Facts): readonly Found[] {
  return deaths
    .filter((death) => !revokes.some((one) => one.invokedAt <= death.endedAt && mayCover(one, death)))
    .filter(({ session }) => !openingMayBeLost(session))
    .map((death) => ({
      property: "no false logout" as const,
      about: death.session,
      says: `${death.node} reports its end, and nobody asked for that`,
      proof: [death],
    }));
}

/** At the end every session that was asked about has an answer, and every revoked session was asked about. */
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
      .filter((life: UseOperation) => !asked.has(life.session) && covers(revoke, life))
      .map(({ session }) => ({
        about: session,
        says: "revoked, and no actor asked about it",
        proof: [revoke],
      })),
  );
}

function late(life: Operation, at: number): string {
  return `${Math.round(life.endedAt - at)} ms`;
}
