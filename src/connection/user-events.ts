import { randomBytes } from "node:crypto";

import type { Clock } from "../auth/clock/clock.ts";
import { isAdmin, type Users } from "../auth/users/users.ts";
import type { ConnectionLog } from "./observer.ts";
import type { Session } from "./session.ts";

export type UserChange = "added" | "updated" | "removed";

/** Home Assistant's three user events, for administrators. */
export interface UserEvents {
  /** `type` undefined: all of them. Returns a function that ends the subscription. */
  subscribe(session: Session, id: number, type: string | undefined): () => void;
  publish(userId: string, change: UserChange): void;
}

interface Subscriber {
  readonly session: Session;
  readonly id: number;
  readonly type: string | undefined;
}

/**
 * Subscribers get events in the order of `publish`, and only while their user is an administrator: that is asked for
 * each event. If it cannot be asked, the event is not sent.
 */
export function createUserEvents(options: {
  readonly users: Pick<Users, "current">;
  readonly clock: Clock;
  readonly log: ConnectionLog;
}): UserEvents {
  const subscribers = new Set<Subscriber>();
  let tail = Promise.resolve();

  const mayRead = async ({ session }: Subscriber): Promise<boolean> => {
    try {
      const user = await options.users.current(session.principal.userId);
      return user !== undefined && isAdmin(user);
    } catch (error) {
      options.log.warn({ err: error, session_id: session.principal.sessionId }, "event was not delivered");
      return false;
    }
  };

  const deliver = async (event: { readonly event_type: string }) => {
    for (const subscriber of [...subscribers]) {
      if (subscriber.type !== undefined && subscriber.type !== event.event_type) continue;
      const allowed = await mayRead(subscriber);
      if (allowed && subscribers.has(subscriber))
        subscriber.session.send({ id: subscriber.id, type: "event", event });
    }
  };

  return {
    subscribe(session, id, type) {
      const subscriber = { session, id, type };
      subscribers.add(subscriber);
      return () => subscribers.delete(subscriber);
    },
    publish(userId, change) {
      if (subscribers.size === 0) return;
      const event = {
        event_type: `user_${change}`,
        data: { user_id: userId },
        origin: "LOCAL",
        time_fired: new Date(options.clock.now()).toISOString(),
        context: { id: randomBytes(16).toString("hex"), parent_id: null, user_id: null },
      };
      tail = tail
        .then(() => deliver(event))
        .catch((error: unknown) => {
          options.log.error({ err: error, event_type: event.event_type }, "event failed");
        });
    },
  };
}
