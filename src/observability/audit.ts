import type { CloseName } from "../../protocol/close-codes.ts";
import type { CreateEntryStep, FlowStep } from "../../protocol/flow.ts";
import { isClientId } from "../auth/clients/client-id.ts";
import type { FlowAnswer } from "../auth/login/login-flows.ts";
import type { Actor, Peer, Principal } from "../auth/model.ts";
import type { RevokeTarget } from "../auth/revocation/receipt.ts";
import type { SecurityEvent } from "../auth/revocation/security-events.ts";
import type { StepUpAbout, StepUpTeller } from "../connection/step-up.ts";
import type { Log } from "./log.ts";

/** What was decided on. */
export type DecisionName =
  | "token"
  | "owner"
  | "session_revoked"
  | "login_return"
  | "provider_logout"
  | "session_expiry"
  | "revocation_request"
  | "user_creation"
  | "user_import"
  | "imported_password_removal"
  | "user_change"
  | "user_removal"
  | "approval"
  | "approval_refusal"
  | "login_creation"
  | "login_removal"
  | "login_rename"
  | "credential_link"
  | "credential_removal"
  | "password_change"
  | "password_reset_code"
  | "password_reset_cancellation"
  | "owner_transfer"
  | "resource_change"
  | "group_creation"
  | "group_change"
  | "group_deletion"
  | "group_member_addition"
  | "group_member_removal"
  | "factor_setup"
  | "factor_removal"
  | "factor_reset"
  | "factor_demand"
  | "throttle_lift"
  | "device_approval"
  | "device_refusal"
  | "client_registration"
  | "client_change"
  | "client_secret"
  | "client_removal"
  | "key_rotation"
  | "key_drop";

/** What the end of a flow decides on. A code that links is recorded again when it is used. */
const flowNames: Readonly<Record<FlowAnswer["purpose"], string>> = {
  session: "login",
  code: "login",
  link: "credential_link",
  link_code: "credential_proof",
  step_up: "step_up",
};

/** Names that operators know from other servers. */
const eventNames: Partial<Record<DecisionName, Record<"allowed" | "denied", string>>> = {
  token: { allowed: "token_granted", denied: "token_refused" },
  owner: { allowed: "owner_created", denied: "owner_refused" },
};

/** Whom the decision is about, for whom, from where, and why. What is undefined is left out. */
export interface Decision {
  readonly actor?: Actor | undefined;
  readonly address?: string | null;
  readonly grant?: string | undefined;
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly credentialId?: string | undefined;
  readonly clientId?: string | null | undefined;
  readonly throttleId?: string | undefined;
  /** Second factors of the configuration. */
  readonly factorIds?: readonly string[] | undefined;
  /** Whether the groups demand a second factor from now on. */
  readonly isDemanded?: boolean | undefined;
  readonly flowId?: string | undefined;
  /** How many users were imported; none with a problem or in a dry run. */
  readonly users?: number | undefined;
  /** How many sessions ended. */
  readonly sessions?: number | undefined;
  /** What a revocation was requested for. */
  readonly target?: RevokeTarget["kind"];
  /** Rights that were decided on. */
  readonly isActive?: boolean | undefined;
  readonly localOnly?: boolean | undefined;
  readonly groupIds?: readonly string[] | undefined;
  /** Why it was refused: a code of protocol/errors.ts. */
  readonly reason?: string | undefined;
  /** What the client does not see: the private detail of that error. */
  readonly detail?: string | undefined;
}

/**
 * One record for every authentication decision, every change of rights and every revocation: what was decided, by
 * whom, about whom, from where, and why. Records hold ids, addresses and words of the protocol's tables. They never
 * hold a token, a password or a login name that somebody typed.
 */
export interface Audit {
  /** A socket became authenticated. */
  accepted(principal: Principal, peer: Peer): void;
  /** A socket was refused before `auth_ok`. */
  refused(close: CloseName, reason: string, peer: Peer): void;
  /**
   * A login flow answered a step. A form without errors is no decision. `userId`: the user that the input was about,
   * if there is one.
   */
  loginStep(
    step: FlowStep,
    peer: Peer,
    about: { readonly userId?: string; readonly purpose: FlowAnswer["purpose"] },
  ): void;
  /** A command was not carried out, because its person has to log in again (`required`), or did not. */
  stepUp(result: "required" | "failed", whose: StepUpTeller, about: StepUpAbout): void;
  loginRefused(code: string, peer: Peer, userId?: string): void;
  decided(name: DecisionName, outcome: "allowed" | "denied", decision: Decision): void;
  /**
   * `replayed`: read from the log at a start. It came into effect earlier, here, on another node or by the command
   * line.
   */
  cut(cut: SecurityEvent, socketsClosed: number, replayed?: boolean): void;
}

/** Takes the finished record. */
export type AuditSink = (record: object) => void;

/** Writes records as lines of the log, if they are enabled. */
export function auditLog(log: Pick<Log, "info">, enabled: boolean): AuditSink {
  return enabled ? (record) => log.info(record, "audit") : () => undefined;
}

export function createAudit(sink: AuditSink): Audit {
  const record = (event: string, outcome: "allowed" | "denied" | "done", fields: object) =>
    sink({ audit: event, outcome, ...fields });
  return {
    // One object, without spreads: every connection has this record.
    accepted: ({ userId, sessionId, sessionType, clientId, assurance }, { address }) =>
      sink({
        audit: "socket_authentication",
        outcome: "allowed",
        address,
        user_id: userId,
        session_id: sessionId,
        session_type: sessionType,
        client_id: clientId,
        assurance,
      }),
    refused: (close, reason, { address }) =>
      record("socket_authentication", "denied", { address, close, reason }),
    loginStep(step, { address }, { userId, purpose }) {
      const name = flowNames[purpose];
      const [provider, providerId] = step.handler;
      const about = { address, flow_id: step.flow_id, provider, provider_id: providerId, user_id: userId };
      if (step.type === "create_entry") {
        record(name, "allowed", { ...about, ...grantedBy(purpose, step) });
      } else if (step.type === "abort") record(name, "denied", { ...about, reason: step.reason });
      else if (step.type === "progress" && step.progress_action === "wait_for_approval")
        record(name, "denied", { ...about, reason: step.progress_action });
      else if (step.type === "form" && step.errors.base !== undefined)
        record(name, "denied", { ...about, reason: step.errors.base });
    },
    stepUp(result, { principal, peer: { address } }, { acr, command, reason }) {
      const who = { user_id: principal.userId, session_id: principal.sessionId };
      const name = result === "required" ? "step_up_required" : "step_up";
      record(name, "denied", { address, ...who, acr, command, reason });
    },
    loginRefused: (code, { address }, userId) =>
      record("login", "denied", { address, reason: code, user_id: userId }),
    decided: (name, outcome, decision) =>
      record(eventNames[name]?.[outcome] ?? name, outcome, fieldsOf(decision)),
    cut(cut, socketsClosed, replayed = false) {
      const again = replayed ? { replayed } : {};
      if (cut.kind === "audited") sink({ ...cut.record, ...again });
      else if (endsSockets(cut)) record("revocation", "done", { ...about(cut, socketsClosed), ...again });
    },
  };
}

function grantedBy(purpose: FlowAnswer["purpose"], { result }: CreateEntryStep): object {
  if (purpose === "link") return { credential_id: String(result) };
  if (purpose === "step_up") return { session_id: String(result) };
  return typeof result === "string" ? {} : { session_id: result.session_id };
}

function fieldsOf({
  actor,
  userId,
  sessionId,
  credentialId,
  clientId,
  throttleId,
  flowId,
  groupIds,
  factorIds,
  isDemanded,
  ...decision
}: Decision): object {
  const { isActive, localOnly, address = actor?.address, ...rest } = decision;
  const by = actor && { via: actor.via, actor_id: actor.userId, actor_session_id: actor.sessionId };
  const who = {
    flow_id: flowId,
    user_id: userId,
    session_id: sessionId,
    credential_id: credentialId,
    client_id: clientNamed(clientId),
    throttle_id: throttleId,
  };
  const rights = { is_active: isActive, local_only: localOnly, group_ids: groupIds?.join(" ") };
  const factors = { factors: factorIds?.join(" "), demanded: isDemanded };
  return { ...by, address, ...who, ...rights, ...factors, ...rest };
}

/** A client may send anything as its client id, also a token. Only what can be a client id is repeated. */
function clientNamed(clientId: string | null | undefined): string | null | undefined {
  return typeof clientId !== "string" || isClientId(clientId) ? clientId : "[no client id]";
}

type Ending = Extract<SecurityEvent, { kind: "sessions" | "user" | "client" | "all" | "keys" }>;

function endsSockets(event: SecurityEvent): event is Ending {
  return ["sessions", "user", "client", "all", "keys"].includes(event.kind);
}

function about(cut: Ending, socketsClosed: number): object {
  if (cut.kind === "keys") return { target: cut.kind, key_ids: cut.keyIds, sockets_closed: socketsClosed };
  const { kind, cause, ...target } = cut;
  return { target: kind, ...targetFields(target), cause, sockets_closed: socketsClosed };
}

function targetFields(target: {
  readonly sessionIds?: readonly string[];
  readonly userId?: string;
  readonly clientId?: string;
  readonly epoch?: number;
  readonly except?: string | null;
}): object {
  return {
    session_ids: target.sessionIds,
    user_id: target.userId,
    client_id: clientNamed(target.clientId),
    epoch: target.epoch,
    except: target.except,
  };
}
