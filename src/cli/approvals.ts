import type { Authority } from "../auth/authority.ts";
import { approvalOnWire } from "../auth/users/approval-on-wire.ts";
import type { WaitingApproval } from "../auth/users/approvals.ts";
import { groupIdsOf } from "./group-names.ts";
import { type Output, table, timeText } from "./output.ts";
import { oneLine } from "./terminal-text.ts";

export async function listApprovals({ approvals }: Authority, output: Output): Promise<void> {
  const waiting = await approvals.list();
  const columns = ["USER", "CODE", "NAME", "WHO", "PROVIDER", "DEVICE", "ADDRESS", "GROUPS", "ASKED"];
  output.result(waiting.map(approvalOnWire), table(columns, waiting.map(rowOf)));
}

/** Names and subjects are what strangers and other servers say. */
function rowOf(approval: WaitingApproval): readonly string[] {
  const { userId, code, name, subject, provider, clientName, clientId, address, requestedAt } = approval;
  const said = [name ?? "-", subject, providerText(provider), clientName ?? clientId ?? "-"].map(oneLine);
  return [userId, code, ...said, address ?? "-", approval.groupIds.join(" ") || "-", timeText(requestedAt)];
}

function providerText([type, id]: WaitingApproval["provider"]): string {
  return id === null ? type : `${type} ${id}`;
}

export async function approve(
  authority: Authority,
  request: { readonly userId: string; readonly groups: readonly string[] | undefined },
  output: Output,
): Promise<void> {
  const groupIds = request.groups && (await groupIdsOf(authority, request.groups));
  const user = await authority.approvals.approve(request.userId, groupIds);
  const groups = [...user.groupIds];
  output.result(
    { user_id: user.id, name: user.name, group_ids: groups },
    `approved ${oneLine(user.name ?? user.id)} (${user.id}), groups: ${groups.join(", ") || "none"}`,
  );
}

export async function refuse({ approvals }: Authority, userId: string, output: Output): Promise<void> {
  await approvals.refuse(userId);
  output.result({ user_id: userId }, `refused and removed ${userId}`);
}
