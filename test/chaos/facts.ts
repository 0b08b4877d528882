import type { Entry, Subject } from "./history.ts";
import { named, type Operation, operationsOf } from "./operations.ts";

/** Proof that a session is live: it was authenticated, served or given new tokens. */
export type UseOperation = Operation<"authenticate" | "use" | "refresh">;
/** A final answer about a session: closed with 43xx, or its token refused as unknown. */
export type EndOperation = Operation<"authenticate" | "close" | "refresh">;

/** A revoke that certainly happened, at `at` the latest. */
export interface Revoked {
  readonly operation: Operation<"revoke">;
  readonly at: number;
  /** What proves it, if its own answer did not arrive. */
  readonly shownBy?: EndOperation;
}

/** A history, joined and sorted as the properties need it. */
export interface Facts {
  readonly operations: readonly Operation[];
  readonly lives: readonly UseOperation[];
  readonly deaths: readonly EndOperation[];
  readonly revokes: readonly Operation<"revoke">[];
  readonly revoked: readonly Revoked[];
  readonly losses: readonly Operation<"loss">[];
  readonly quietAt: number | undefined;
  /**
   * True if the session is certainly covered by this revoke. A session that was opened while the revoke was in progress
   * may be on either side.
   */
  covers(revoke: Operation<"revoke">, subject: Subject): boolean;
  /** True if the session may be covered. */
  mayCover(revoke: Operation<"revoke">, subject: Subject): boolean;
  /** Whether what was committed in this time may be gone, because the store lost it. */
  mayBeLost(operation: { readonly invokedAt: number; readonly endedAt: number }): boolean;
  /** The same for the login that opened the session; false if the history has none. */
  openingMayBeLost(session: string): boolean;
}

export function factsOf(entries: readonly Entry[]): Facts {
  const operations = operationsOf(entries);
  const logins = new Map(
    named(operations, "login").flatMap((login) =>
      login.phase === "ok" && login.session !== undefined ? [[login.session, login] as const] : [],
    ),
  );
  const losses = named(operations, "loss");
  const revokes = named(operations, "revoke").filter(({ phase }) => phase !== "fail");
  const openedAt = (session: string) => logins.get(session)?.endedAt ?? Number.NEGATIVE_INFINITY;
  const begunAt = (session: string) => logins.get(session)?.invokedAt ?? Number.NEGATIVE_INFINITY;
  const aims = ({ target }: Operation<"revoke">, { user, session }: Subject) =>
    target.session === undefined ? target.user === user : target.session === session;
  const covers: Facts["covers"] = (revoke, subject) =>
    aims(revoke, subject) &&
    (revoke.target.session !== undefined || openedAt(subject.session) < revoke.invokedAt);
  const mayCover: Facts["mayCover"] = (revoke, subject) =>
    aims(revoke, subject) &&
    (revoke.target.session !== undefined || begunAt(subject.session) <= revoke.endedAt);
  const mayBeLost: Facts["mayBeLost"] = ({ invokedAt, endedAt }) =>
    losses.some((loss) => endedAt >= loss.since && invokedAt <= loss.endedAt);
  const deaths = deathsIn(operations);
  return {
    operations,
    deaths,
    revokes,
    losses,
    covers,
    mayCover,
    lives: livesIn(operations),
    revoked: revokedIn(revokes, deaths, { covers, mayCover }),
    quietAt: named(operations, "mark").find(({ name }) => name === "quiet")?.endedAt,
    mayBeLost,
    openingMayBeLost: (session) => {
      const login = logins.get(session);
      return login !== undefined && mayBeLost(login);
    },
  };
}

function livesIn(operations: readonly Operation[]): readonly UseOperation[] {
  return [
    ...named(operations, "authenticate"),
    ...named(operations, "use"),
    ...named(operations, "refresh"),
  ].filter(({ phase }) => phase === "ok");
}

function deathsIn(operations: readonly Operation[]): readonly EndOperation[] {
  const refused = [...named(operations, "authenticate"), ...named(operations, "refresh")].filter(
    ({ phase, dead }) => phase === "fail" && dead === true,
  );
  return [...refused, ...named(operations, "close").filter(({ dead }) => dead)].sort(
    (a, b) => a.endedAt - b.endedAt,
  );
}

/** A revoke without an answer certainly happened once a session ended that no other revoke can have ended. */
function revokedIn(
  revokes: readonly Operation<"revoke">[],
  deaths: readonly EndOperation[],
  { covers, mayCover }: Pick<Facts, "covers" | "mayCover">,
): readonly Revoked[] {
  return revokes.flatMap((operation): readonly Revoked[] => {
    if (operation.phase === "ok") return [{ operation, at: operation.endedAt }];
    const shownBy = deaths.find(
      (death) =>
        death.endedAt > operation.invokedAt &&
        covers(operation, death) &&
        revokes.every(
          (other) => other === operation || other.invokedAt > death.endedAt || !mayCover(other, death),
        ),
    );
    return shownBy === undefined ? [] : [{ operation, at: shownBy.endedAt, shownBy }];
  });
}
