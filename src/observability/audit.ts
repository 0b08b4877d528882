import type { CloseName } from "../../protocol/close-codes.ts";
import type { FlowStep } from "../../protocol/flow.ts";
import { verifyClientId } from "../auth/clients/client-id.ts";
import type { Peer, Principal } from "../auth/model.ts";
import type { RevocationEvent } from "../auth/revocation/listeners.ts";
import type { HttpDecision } from "../http/observer.ts";
import type { Log } from "./log.ts";

/** As HTTP tells it; on a socket the address may be known to its connection only. */
export interface Decision extends Omit<HttpDecision, "address" | "grant"> {
  readonly address?: string | null;
  readonly grant?: string;
}

/**
 * One record for every authentication decision and every cut-off (DESIGN promise 12): what was decided, about whom, for
 * whom, from where, and why. Records hold ids, addresses and words of the protocol's tables; never a token, a password
 * or a login name that somebody typed.
 */
export interface Audit {
  /** A socket became authenticated. */
  accepted(principal: Principal, peer: Peer): void;
  /** A socket was refused before `auth_ok`. */
  refused(close: CloseName, reason: string, peer: Peer): void;
  /** A login flow answered a step. Forms without errors are no decision. `userId`: whom the input was about, if anybody. */
  loginStep(step: FlowStep, peer: Peer, userId?: string): void;
  loginRefused(code: string, peer: Peer, userId?: string): void;
  /** Tokens and ownership, over HTTP and on sockets. */
  decided(decision: Decision): void;
  /** `replayed`: read from the log at a start; it came into effect earlier, here, elsewhere or by the command line. */
  cut(cut: RevocationEvent, socketsClosed: number, replayed?: boolean): void;
}

export function createAudit(log: Log, enabled: boolean): Audit {
  const record = (event: string, outcome: "allowed" | "denied" | "done", fields: object) => {
    if (enabled) log.info({ audit: event, outcome, ...fields }, "audit");
  };
  return {
    accepted({ userId, sessionId, sessionType, clientId, assurance }, { address }) {
      const who = { user_id: userId, session_id: sessionId, session_type: sessionType, client_id: clientId };
      record("socket_authentication", "allowed", { address, ...who, assurance });
    },
    refused: (close, reason, { address }) =>
      record("socket_authentication", "denied", { address, close, reason }),
    loginStep(step, { address }, userId) {
      const about = { address, flow_id: step.flow_id, provider: step.handler[0], user_id: userId };
      if (step.type === "create_entry") {
        const { result } = step;
        const session = typeof result === "string" ? {} : { session_id: result.session_id };
        record("login", "allowed", { ...about, ...session });
      } else if (step.type === "abort") record("login", "denied", { ...about, reason: step.reason });
      else if (step.type === "form" && step.errors.base !== undefined)
        record("login", "denied", { ...about, reason: step.errors.base });
    },
    loginRefused: (code, { address }, userId) =>
      record("login", "denied", { address, reason: code, user_id: userId }),
    decided(decision) {
      const { event, userId, sessionId, clientId, ...rest } = decision;
      const outcome = event === "token_refused" || event === "owner_refused" ? "denied" : "allowed";
      const who = { user_id: userId, session_id: sessionId, client_id: clientNamed(clientId) };
      record(event, outcome, { ...rest, ...who });
    },
    cut(cut, socketsClosed, replayed = false) {
      if (cut.kind !== "user_changed" && cut.kind !== "session_changed")
        record("revocation", "done", { ...about(cut, socketsClosed), ...(replayed ? { replayed } : {}) });
    },
  };
}

/** What was sent as a client id may be anything, a token too: only what can name a client is repeated. */
function clientNamed(clientId: string | null | undefined): string | null | undefined {
  return typeof clientId !== "string" || verifyClientId(clientId) ? clientId : "[no client id]";
}

function about(
  cut: Exclude<RevocationEvent, { kind: "user_changed" | "session_changed" }>,
  socketsClosed: number,
): object {
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
