import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import type { Throttle } from "../auth/throttling/throttle-list.ts";
import { type Output, table, timeText } from "./output.ts";

const pageSize = 500;

export async function listThrottles(authority: Authority, output: Output): Promise<void> {
  const listed: Throttle[] = [];
  let after: string | undefined;
  do {
    const page = await authority.throttles.page({ after, limit: pageSize });
    listed.push(...page.throttles);
    after = page.next;
  } while (after !== undefined);
  const value = listed.map(
    ({ id, kind, userId, credential, address, attemptsLeft, retryAfterMs, endsAt }) => ({
      id,
      kind,
      user_id: userId,
      username: credential?.subject ?? null,
      address,
      attempts_left: attemptsLeft,
      retry_after: Math.ceil(retryAfterMs / 1000),
      ends_at: timeText(endsAt),
    }),
  );
  const namesOf = new Map((await authority.users.list()).map(({ id, name }) => [id, name]));
  const rows = listed.map(({ id, kind, userId, credential, address, attemptsLeft, retryAfterMs, endsAt }) => [
    id,
    kind,
    credential?.subject ?? (userId === null ? "-" : (namesOf.get(userId) ?? userId)),
    address ?? "-",
    String(attemptsLeft),
    retryAfterMs === 0 ? "now" : `in ${Math.ceil(retryAfterMs / 1000)} s`,
    timeText(endsAt),
  ]);
  output.result(value, table(["ID", "OF", "USER", "ADDRESS", "LEFT", "NEXT TRY", "ENDS"], rows));
}

/** Throws `not_found` for the first one that does not exist; those before it are lifted. */
export async function liftThrottles(
  authority: Authority,
  ids: readonly string[],
  output: Output,
): Promise<void> {
  for (const id of ids) {
    await authority.throttles.lift(id).catch((error: unknown) => {
      if (error instanceof AuthError && error.code === "not_found")
        throw new AuthError("not_found", { publicMessage: `There is no throttle ${id}` });
      throw error;
    });
  }
  output.result({ lifted: ids }, `lifted ${ids.length === 1 ? "it" : String(ids.length)}`);
}
