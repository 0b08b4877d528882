import { isReservedTopic, isTopic } from "../../../protocol/topic-pattern.ts";
import { AuthError } from "../errors.ts";
import type { Session, User } from "../model.ts";
import { standingOf } from "./caller-permissions.ts";
import type { PermissionTables } from "./compose.ts";
import { type ExplainTools, type Explanation, explain, type Question } from "./explain.ts";
import type { KnownGroups } from "./known-groups.ts";

/** Of a user alone, or of a session of theirs, whose token may be narrowed. */
export type ExplainedSubject = { readonly userId: string } | { readonly sessionId: string };

export interface ExplainedAnswer extends Explanation {
  readonly userId: string;
  readonly sessionId: string | null;
}

export interface Explainer {
  /** Throws `not_found`, and `invalid_format` for a topic that nobody can publish to. */
  explain(subject: ExplainedSubject, question: Question): Promise<ExplainedAnswer>;
}

export interface ExplainerOptions extends Pick<ExplainTools, "isOwnersAlone"> {
  readonly tables: PermissionTables;
  readonly known: Pick<KnownGroups, "list">;
  readonly users: { current(userId: string): Promise<User | undefined> };
  readonly sessions: { get(sessionId: string): Promise<Session | undefined> };
}

export function createExplainer(options: ExplainerOptions): Explainer {
  const { known, users, sessions, isOwnersAlone } = options;
  const { groupTable: table, resourceTable: resources } = options.tables;
  return {
    async explain(subject, question) {
      requireTopic(question);
      // A command line process reads the groups at its first look.
      await known.list();
      const session = "sessionId" in subject ? await sessions.get(subject.sessionId) : undefined;
      const userId = "userId" in subject ? subject.userId : session?.userId;
      const user = userId === undefined ? undefined : await users.current(userId);
      const standing = standingOf(user);
      if (user === undefined || standing === undefined) throw new AuthError("not_found");
      const token = { scope: session?.scope ?? null, policy: session?.policy ?? null };
      const explanation = explain({ table, resources, isOwnersAlone }, standing, token, question);
      return { ...explanation, userId: user.id, sessionId: session?.id ?? null };
    },
  };
}

/** A right on a pattern is not one on each of its topics, so there is no answer for one. */
function requireTopic({ category, thing }: Question): void {
  if (category !== "topics") return;
  if (!isTopic(thing))
    throw new AuthError("invalid_format", {
      publicMessage: "Not a topic. Name one topic, without the wildcards + and #.",
    });
  if (isReservedTopic(thing))
    throw new AuthError("invalid_format", { publicMessage: "Topics that begin with $ are reserved." });
}
