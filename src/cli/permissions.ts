import type { Authority } from "../auth/authority.ts";
import type { Question, RuleVerdict } from "../auth/permissions/explain.ts";
import type { ExplainedSubject } from "../auth/permissions/explainer.ts";
import type { Verb } from "../auth/permissions/permissions.ts";
import { type Output, table, UsageError } from "./output.ts";
import { oneLine } from "./terminal-text.ts";
import { findUser } from "./users.ts";

export interface ExplainFlags {
  readonly user?: string;
  readonly session?: string;
  readonly entity?: string;
  readonly topic?: string;
  readonly command?: string;
  readonly verb: Verb;
}

/** Every rule in the order in which it is asked, with its verdict, and the answer. */
export async function explainPermission(
  authority: Authority,
  flags: ExplainFlags,
  output: Output,
): Promise<void> {
  const question = questionIn(flags);
  const found = await authority.explainer.explain(await subjectIn(authority, flags), question);
  const { userId, sessionId, allowed, rules } = found;
  const rows = rules.map((rule) => [rule.rule, rule.groupId ?? "-", rule.part ?? "-", rule.verdict]);
  const doing = question.category === "commands" ? "send" : question.verb;
  output.result(
    { user_id: userId, session_id: sessionId, allowed, rules: rules.map(onWire) },
    `${table(["RULE", "GROUP", "PART", "VERDICT"], rows)}\n${allowed ? "may" : "may not"} ${doing} ${oneLine(question.thing)}`,
  );
}

function onWire({ rule, groupId, part, verdict }: RuleVerdict) {
  return { rule, group_id: groupId, part, verdict };
}

function questionIn({ entity, topic, command, verb }: ExplainFlags): Question {
  const asked: readonly (Question | undefined)[] = [
    entity === undefined ? undefined : { category: "entities", thing: entity, verb },
    topic === undefined ? undefined : { category: "topics", thing: topic, verb },
    command === undefined ? undefined : { category: "commands", thing: command, verb },
  ];
  const [question, ...more] = asked.filter((each) => each !== undefined);
  if (question === undefined || more.length > 0)
    throw new UsageError("give one of --entity, --topic and --command");
  return question;
}

async function subjectIn(authority: Authority, { user, session }: ExplainFlags): Promise<ExplainedSubject> {
  if (user !== undefined && session === undefined) return { userId: (await findUser(authority, user)).id };
  if (session !== undefined && user === undefined) return { sessionId: session };
  throw new UsageError("give one of --user and --session");
}
