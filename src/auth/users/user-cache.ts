import { LRUCache } from "lru-cache";
import type { User } from "../model.ts";
import type { RevocationEvent } from "../revocation/listeners.ts";
import type { Revocation } from "../revocation/revocation.ts";

const capacity = 10_000;

/**
 * Users as this node last read them; a cut of the user drops its entry in the same tick. What a read that began before
 * the cut brings is given to those who asked before it, and not kept; `read` leaves out what the cut took. Without a
 * trusted log nothing is kept at all.
 */
export function createUserCache(options: {
  readonly revocation: Revocation;
  readonly read: (userId: string) => Promise<User | undefined>;
}): (userId: string) => Promise<User | undefined> {
  const { revocation, read } = options;
  const users = new LRUCache<string, Promise<User | undefined>>({ max: capacity });
  revocation.onRevocation((cut) => {
    if (concernsUser(cut)) users.delete(cut.userId);
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

function concernsUser(cut: RevocationEvent): cut is Extract<RevocationEvent, { userId: string }> {
  return cut.kind === "user" || cut.kind === "user_changed";
}
