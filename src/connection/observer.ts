import type { CloseName } from "../../protocol/close-codes.ts";
import type { ErrorName } from "../../protocol/errors.ts";
import type { Peer, Principal } from "../auth/model.ts";
import type { Codec } from "../codec/codec.ts";
import type { StepUpAbout, StepUpTeller } from "./step-up.ts";

/** What connections tell metrics and the audit log. Must not throw and must not wait; called on the hot path. */
export interface ConnectionObserver {
  /** An upgrade was refused with an HTTP answer. */
  upgradeRefused(code: ErrorName, address: string | null, origin: string | undefined): void;
  opened(codec: Codec["name"], peer: Peer): void;
  /** `auth_ok` was sent, `elapsedMs` after the socket opened. */
  authenticated(principal: Principal, peer: Peer, elapsedMs: number): void;
  /** The socket was refused before `auth_ok`. `reason` is for operators: a fixed word, never input. */
  authRefused(close: CloseName, reason: string, peer: Peer): void;
  /** A message was answered: a command or a login message. `type` is undefined if it is unknown. */
  answered(type: string | undefined, outcome: "ok" | ErrorName): void;
  /** A command waits for a step-up (`required`), its person has logged in again, or did not and it was refused. */
  stepUp(result: "required" | "done" | "failed", whose: StepUpTeller, about: StepUpAbout): void;
  /** The node does not know any more what was revoked: the sockets are suspended. */
  lapsed(): void;
  /** After a lapse, `sockets` were looked up again. The sessions of `closed` of them had ended meanwhile. */
  reviewed(sockets: number, closed: number): void;
  /** The socket is gone. `close`: what this side closed it with; undefined if the peer or the network did. */
  closed(close: CloseName | undefined, code: number, authenticated: boolean): void;
}

/** Where connections report faults; pino's calling convention. Fields hold ids and codes, never secrets. */
export interface ConnectionLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
