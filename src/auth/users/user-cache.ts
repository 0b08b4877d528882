import { LRUCache } from "lru-cache";
import type { User } from "../model.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { SecurityEvent } from "../revocation/security-events.ts";

const capacity = 10_000;

/**
 * Caches users. An event of a user removes its entry in the same tick. A read that began before the event answers the
 * callers from before it and is not cached; `read` applies the rights that the event decided. Without a trusted log
 * nothing is cached.
 */
export function createUserCache(options: {
  readonly revocation: Revocation;
  readonly read: (userId: string) => Promise<User | undefined>;
}): (userId: string) => Promise<User | undefined> {
  const { revocation, read } = options;
  const users = new LRUCache<string, Promise<User | undefined>>({ max: capacity });
  revocation.onSecurityEvent((event) => {
    if (concernsUser(event)) users.delete(event.userId);
    return 0;
  });

  const load = (userId: string): Promise<User | undefined> => {
    const user = read(userId);
    users.set(userId, user);
    const dropUnlessFound = (found?: User) => {
      if (found === undefined && users.get(userId) === user) users.delete(userId);
    };
    user.then(dropUnlessFound, () => dropUnlessFound());
    return user;
  };

  return (userId) => {
    if (!revocation.view.trusted) {
      users.clear();
      return read(userId);
    }
    return users.get(userId) ?? load(userId);
  };
}

function concernsUser(event: SecurityEvent): event is Extract<SecurityEvent, { userId: string }> {
  return event.kind === "user" || event.kind === "user_changed";
}
