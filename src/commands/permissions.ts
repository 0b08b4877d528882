import type { PolicyResource } from "../../protocol/commands/permissions.ts";
import { AuthError } from "../auth/errors.ts";
import type { Question } from "../auth/permissions/explain.ts";
import type { ExplainedSubject } from "../auth/permissions/explainer.ts";
import type { Verb } from "../auth/permissions/permissions.ts";
import type { Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

/** Why somebody may do something, or may not. */
export function permissionCommands({ authority }: CommandParts): readonly Command[] {
  const { permissions, explainer } = authority;
  return [
    defineCommand("gatehouse/permissions/explain", authority, async (message, session) => {
      const { resource, verb = "read", user_id, session_id } = message;
      const subject = subjectOf(session, user_id, session_id);
      const { isAdmin } = await permissions.of(session.principal);
      const found = await explainer.explain(subject, questionOf(resource, verb)).catch((error: unknown) => {
        // Others do not learn whether there is such a user or session.
        throw isAdmin ? error : unlessFault(error);
      });
      if (!isAdmin && found.userId !== session.principal.userId) throw new AuthError("unauthorized");
      return {
        user_id: found.userId,
        session_id: found.sessionId,
        allowed: found.allowed,
        rules: found.rules.map(({ rule, groupId, part, verdict }) => ({
          rule,
          group_id: groupId,
          part,
          verdict,
        })),
      };
    }),
  ];
}

function subjectOf(
  { principal }: SocketSession,
  userId: string | undefined,
  sessionId: string | undefined,
): ExplainedSubject {
  if (userId !== undefined && sessionId !== undefined)
    throw new AuthError("invalid_format", { publicMessage: "Give one of user_id and session_id." });
  if (userId !== undefined) return { userId };
  return { sessionId: sessionId ?? principal.sessionId };
}

function unlessFault(error: unknown): unknown {
  return error instanceof AuthError && error.code === "not_found" ? new AuthError("unauthorized") : error;
}

export function questionOf(resource: PolicyResource, verb: Verb): Question {
  if ("entity_id" in resource) return { category: "entities", thing: resource.entity_id, verb };
  if ("topic" in resource) return { category: "topics", thing: resource.topic, verb };
  return { category: "commands", thing: resource.command, verb };
}
