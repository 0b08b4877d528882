import type { RevocationState, RevocationTarget } from "../../protocol/commands/revoke.ts";
import { AuthError } from "../auth/errors.ts";
import { newId } from "../auth/ids.ts";
import { recordKeys } from "../auth/record-keys.ts";
import type { RevokeReceipt, RevokeTarget } from "../auth/revocation/receipt.ts";
import type { Step } from "../auth/store.ts";
import { answered, type Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { limitsOf } from "./delegates.ts";
import { inRoomForSubscription } from "./events.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";
import { requireOwnerForOwner } from "./who-may-decide.ts";

/**
 * `gatehouse/revoke`: ends sessions, answers with what is known at that moment, and reports when it is in effect
 * everywhere.
 */
export function revokeCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { revocation } = authority;
  return [
    defineCommand("gatehouse/revoke", authority, async ({ id, target, wait, subscribe }, session) => {
      const revoke = async () =>
        await revokeFrom(parts, await targetOf(parts, target, session), { id, session });
      if (wait === true) return stateOf(await revocation.settled(await revoke()));
      if (subscribe !== true) return stateOf(await revoke());
      return await inRoomForSubscription<typeof answered>(session, id, async () => {
        const receipt = await revoke();
        session.send({ id, type: "result", success: true, result: stateOf(receipt) });
        tellOfChanges(parts, receipt, { id, session });
        return answered;
      });
    }),
  ];
}

interface Asker {
  readonly id: number;
  readonly session: SocketSession;
}

interface Decided {
  readonly target: RevokeTarget;
  /** What the decision was made on, if it was made on something that may change. */
  readonly also?: Step;
}

/** Throws `not_found`, and `unauthorized` for a target that only the owner, or an administrator, may end. */
async function targetOf(
  { authority }: CommandParts,
  target: RevocationTarget,
  session: SocketSession,
): Promise<Decided> {
  const { users, sessions, permissions } = authority;
  if ("client_id" in target || "all" in target) {
    // Both may end sessions of the owner.
    const isOwner = (await users.current(session.principal.userId))?.isOwner === true;
    if (!isOwner || !(await permissions.of(session.principal)).isAdmin) throw new AuthError("unauthorized");
    return { target: "all" in target ? { kind: "all" } : { kind: "client", clientId: target.client_id } };
  }
  const found = "session_id" in target ? await sessions.get(target.session_id) : undefined;
  const userId = "user_id" in target ? target.user_id : found?.userId;
  const whose = userId === undefined ? undefined : await users.read(userId);
  if (userId === undefined || (found === undefined && whose === undefined)) throw new AuthError("not_found");
  await requireOwnerForOwner(users, userId, session);
  const limits = await limitsOf(authority, session, "gatehouse/revoke");
  if (whose !== undefined) limits.requireBelow(whose.user);
  const check = [{ key: recordKeys.user(userId), version: whose?.version ?? 0 }];
  return {
    target:
      found === undefined ? { kind: "user", userId } : { kind: "sessions", userId, sessionIds: [found.id] },
    // Otherwise the user could become an administrator in between.
    ...(limits.isAdmin ? {} : { also: { check } }),
  };
}

/** If the command ends its own socket, the answer is what is known by then. */
async function revokeFrom(
  { authorityOf }: CommandParts,
  { target, also }: Decided,
  { id, session }: Asker,
): Promise<RevokeReceipt> {
  const revocationId = newId();
  const early: RevocationState = {
    revocation_id: revocationId,
    sessions: null,
    sockets_closed: null,
    nodes: null,
    durability: null,
    effective: "pending",
  };
  const undo = session.answerBeforeCut(id, { success: true, result: early }, ["session_revoked"]);
  try {
    return await authorityOf(session).revocation.revoke(target, "session_revoked", {
      revocationId,
      ...(also === undefined ? {} : { also }),
    });
  } finally {
    undo();
  }
}

function tellOfChanges(
  { authority: { revocation } }: CommandParts,
  receipt: RevokeReceipt,
  { id, session }: Asker,
): void {
  let first = true;
  // `watch` calls the listener before it returns, and on a single node that call can be the last one.
  let isOver = false;
  const undo = revocation.watch(receipt.revocationId, (state, done) => {
    // The answer had the first state already, unless that is also the last one.
    if (!first || done) session.send({ id, type: "event", event: { ...stateOf(state), done } });
    first = false;
    isOver = done;
    if (done) session.disposables.dispose(id);
  });
  if (undo !== undefined && !isOver) session.disposables.add(id, undo);
}

export function stateOf(receipt: RevokeReceipt): RevocationState {
  const { revocationId, sessions, socketsClosed, nodes, durability, effective } = receipt;
  return {
    revocation_id: revocationId,
    sessions,
    sockets_closed: socketsClosed,
    nodes: { ...nodes },
    durability,
    effective,
  };
}
