import type { RegisteredClients } from "../auth/clients/registered-clients.ts";
import type { Sessions } from "../auth/sessions/sessions.ts";
import type { AuthParts } from "./auth-phase.ts";
import type { CommandParts } from "./command-phase.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionRegistry } from "./connection-registry.ts";
import type { Hub, HubMember } from "./hub.ts";
import type { OutboxParts } from "./outbox.ts";
import type { SessionParts } from "./session.ts";
import type { Suspension } from "./suspension.ts";
import type { PhaseLimits } from "./wire-format.ts";

/** An estimate of the event-loop time that reading one fragment takes, ms. */
export const fragmentMs = 0.0005;

/** Takes a note of every connection that was authenticated, and of its end. Must not throw and must not wait. */
export interface PresenceNotes {
  entered(member: HubMember): void;
  left(member: HubMember): void;
}

/** What all connections of a node share. */
export interface ConnectionParts extends AuthParts, CommandParts, SessionParts, OutboxParts {
  readonly sessions: Pick<Sessions, "refresh" | "get" | "expireIfDue">;
  readonly clients: Pick<RegisteredClients, "find">;
  readonly hub: Hub;
  readonly presence: PresenceNotes;
  readonly registry: ConnectionRegistry<Connection>;
  readonly suspension: Suspension;
  readonly times: PhaseLimits;
}
