import { randomBytes } from "node:crypto";

import type { Clock } from "../auth/clock/clock.ts";
import type { User } from "../auth/model.ts";
import { approvalOnWire } from "../auth/users/approval-on-wire.ts";
import type { Approval, Approvals } from "../auth/users/approvals.ts";
import { isAdmin, type Users } from "../auth/users/users.ts";
import type { ConnectionLog } from "./observer.ts";
import type { Session } from "./session.ts";

export type UserChange = "added" | "updated" | "removed";

/** Home Assistant's three user events, for administrators, and `approval_requested`, for whoever may approve. */
export interface UserEvents {
  /** `type` undefined: all of them. Returns a function that ends the subscription. */
  subscribe(session: Session, id: number, type: string | undefined): () => void;
  publish(userId: string, change: UserChange): void;
  publishApproval(approval: Approval): void;
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
  readonly session: Session;
  readonly id: number;
  readonly type: string | undefined;
}

/**
 * Subscribers get events in the order of `publish`, and only while their user may read them: that is asked for each
 * event. If it cannot be asked, the event is not sent.
 */
export function createUserEvents(options: {
  readonly users: Pick<Users, "current">;
  readonly approvals: Pick<Approvals, "mayDecide">;
  readonly clock: Clock;
  readonly log: ConnectionLog;
}): UserEvents {
  const subscribers = new Set<Subscriber>();
  let tail = Promise.resolve();

  const mayRead = async ({ session }: Subscriber, isReader: (user: User) => boolean): Promise<boolean> => {
    try {
      const user = await options.users.current(session.principal.userId);
      return user !== undefined && isReader(user);
    } catch (error) {
      options.log.warn({ err: error, session_id: session.principal.sessionId }, "event was not delivered");
      return false;
    }
  };

  const deliver = async (event: ServerEvent, isReader: (user: User) => boolean) => {
    for (const subscriber of [...subscribers]) {
      if (subscriber.type !== undefined && subscriber.type !== event.event_type) continue;
      const allowed = await mayRead(subscriber, isReader);
      if (allowed && subscribers.has(subscriber))
        subscriber.session.send({ id: subscriber.id, type: "event", event });
    }
  };

  const publish = (event_type: string, data: object, isReader: (user: User) => boolean) => {
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

  return {
    subscribe(session, id, type) {
      const subscriber = { session, id, type };
      subscribers.add(subscriber);
      return () => subscribers.delete(subscriber);
    },
    publish: (userId, change) => publish(`user_${change}`, { user_id: userId }, isAdmin),
    publishApproval: (approval) =>
      publish("approval_requested", approvalOnWire(approval), options.approvals.mayDecide),
  };
}
