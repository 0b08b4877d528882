import { randomBytes } from "node:crypto";

import { isClientId } from "../auth/clients/client-id.ts";
import type { Clock } from "../auth/clock/clock.ts";
import type { Principal, User } from "../auth/model.ts";
import type { PermissionsReader } from "../auth/permissions/permissions.ts";
import type { SecurityEvent } from "../auth/revocation/security-events.ts";
import { approvalOnWire } from "../auth/users/approval-on-wire.ts";
import type { Approvals, WaitingApproval } from "../auth/users/approvals.ts";
import { isAdmin, type Users } from "../auth/users/users.ts";
import type { ConnectionLog } from "./observer.ts";
import type { OwnEvent } from "./own-events.ts";
import type { SocketSession } from "./session.ts";

/**
 * Home Assistant's three user events and Gatehouse's own, for administrators, and `approval_requested`, for
 * whoever may approve.
 */
export interface UserEvents {
  /** `type` undefined: all of them. Returns a function that ends the subscription. */
  subscribe(session: SocketSession, id: number, type: string | undefined): () => void;
  publish(event: SecurityEvent): void;
  publishApproval(approval: WaitingApproval): void;
}

/** What a subscriber gets, in Home Assistant's format. */
interface ServerEvent {
  readonly event_type: string;
  readonly data: object;
  readonly origin: "LOCAL";
  readonly time_fired: string;
  readonly context: object;
}

interface Subscriber {
  readonly session: SocketSession;
  readonly id: number;
  readonly type: string | undefined;
}

type IsReader = (user: User, principal: Principal) => boolean | Promise<boolean>;

/**
 * Subscribers get events in the order of `publish`, and only while their user may read them: that is asked for each
 * event. If it cannot be asked, the event is not sent.
 */
export function createUserEvents(options: {
  readonly users: Pick<Users, "current">;
  readonly approvals: Pick<Approvals, "mayDecide" | "isDelegable">;
  readonly permissions: Pick<PermissionsReader, "of">;
  readonly clock: Clock;
  readonly log: ConnectionLog;
}): UserEvents {
  const subscribers = new Set<Subscriber>();
  let tail = Promise.resolve();

  const mayRead = async ({ session }: Subscriber, isReader: IsReader): Promise<boolean> => {
    try {
      const user = await options.users.current(session.principal.userId);
      return user !== undefined && (await isReader(user, session.principal));
    } catch (error) {
      options.log.warn({ err: error, session_id: session.principal.sessionId }, "event was not delivered");
      return false;
    }
  };

  const deliver = async (event: ServerEvent, isReader: IsReader) => {
    for (const subscriber of [...subscribers]) {
      if (subscriber.type !== undefined && subscriber.type !== event.event_type) continue;
      const allowed = await mayRead(subscriber, isReader);
      if (allowed && subscribers.has(subscriber))
        subscriber.session.send({ id: subscriber.id, type: "event", event });
    }
  };

  const publish = (event_type: OwnEvent, data: object, isReader: IsReader) => {
    if (subscribers.size === 0) return;
    const event: ServerEvent = {
      event_type,
      data,
      origin: "LOCAL",
      time_fired: new Date(options.clock.now()).toISOString(),
      context: { id: randomBytes(16).toString("hex"), parent_id: null, user_id: null },
    };
    tail = tail
      .then(() => deliver(event, isReader))
      .catch((error: unknown) => {
        options.log.error({ err: error, event_type }, "event failed");
      });
  };

  const mayApprove: IsReader = async (user, principal) =>
    options.approvals.mayDecide(user) ||
    (options.approvals.isDelegable &&
      (await options.permissions.of(principal)).mayCommand("gatehouse/approvals/list"));

  return {
    subscribe(session, id, type) {
      const subscriber = { session, id, type };
      subscribers.add(subscriber);
      return () => subscribers.delete(subscriber);
    },
    publish(event) {
      const shown = subscribers.size === 0 ? undefined : shownEventOf(event);
      if (shown !== undefined) publish(shown.type, shown.data, isAdmin);
    },
    publishApproval: (approval) => publish("approval_requested", approvalOnWire(approval), mayApprove),
  };
}

interface ShownEvent {
  readonly type: OwnEvent;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What administrators are told of an event. Undefined: nothing. */
function shownEventOf(event: SecurityEvent): ShownEvent | undefined {
  switch (event.kind) {
    case "user_changed":
      return { type: `user_${event.change}`, data: { user_id: event.userId } };
    case "owner_changed":
      return {
        type: "owner_changed",
        data: { user_id: event.userId, previous_user_id: event.previousId },
      };
    case "group_changed": {
      const { id, version, content } = event.group;
      return { type: "group_changed", data: { group_id: id, version, deleted: content === null } };
    }
    case "sessions":
      return sessionsEnded(event.cause, { user_id: event.userId, session_ids: event.sessionIds });
    case "user":
      return sessionsEnded(event.cause, { user_id: event.userId, except: event.except });
    case "client":
      return sessionsEnded(event.cause, { client_id: clientNamed(event.clientId) });
    case "all":
      return sessionsEnded(event.cause, {});
    case "factor_demands_changed": {
      const { groups, version } = event.demands;
      return { type: "factor_demands_changed", data: { group_ids: groups, version } };
    }
    case "resources_changed":
    case "session_changed":
    case "keys":
    case "audited":
      return undefined;
  }
}

function sessionsEnded(cause: string, whose: ShownEvent["data"]): ShownEvent {
  const nobody = { user_id: null, session_ids: null, client_id: null, except: null };
  return { type: "sessions_ended", data: { ...nobody, ...whose, cause } };
}

/** Somebody may have revoked any text, also a token. Only what can be a client id is repeated. */
function clientNamed(clientId: string): string | null {
  return isClientId(clientId) ? clientId : null;
}
