import type { WaitingUser } from "../../../protocol/commands/approvals.ts";
import type { WaitingApproval } from "./approvals.ts";

/** A user who waits for approval, as commands and events show it. */
export function approvalOnWire(approval: WaitingApproval): WaitingUser {
  const { userId, name, subject, provider, clientId, clientName, address, code } = approval;
  return {
    user_id: userId,
    name,
    subject,
    provider,
    client_id: clientId,
    client_name: clientName,
    address,
    code,
    group_ids: [...approval.groupIds],
    requested_at: new Date(approval.requestedAt).toISOString(),
    ends_at: new Date(approval.endsAt).toISOString(),
  };
}
