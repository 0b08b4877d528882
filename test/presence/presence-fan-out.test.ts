import { expect, it } from "vitest";

import type { PresenceEvent } from "../../protocol/commands/presence.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { SocketSession } from "../../src/connection/session.ts";
import type { LiveConnection, PresenceWatcher } from "../../src/presence/presence-directory.ts";
import { PresenceFanOut, type Seen } from "../../src/presence/presence-fan-out.ts";
import { eventually } from "../support/eventually.ts";
import { refusal } from "../support/refusal.ts";

const connection = (userId: string, id = userId): LiveConnection => ({
  id,
  userId,
  sessionId: "s",
  clientId: null,
  node: "n",
  address: null,
  since: 0,
});

/** The parts of a session that a subscription uses. */
function socketOf(userId: string) {
  const events: PresenceEvent[] = [];
  const state = { mayRun: true, hasRoom: true };
  const session = {
    principal: { userId },
    get mayRun() {
      return state.mayRun;
    },
    get hasRoom() {
      return state.hasRoom;
    },
    untilRoom: () => new Promise((resolve) => setImmediate(resolve)),
    send: ({ event }: { event: PresenceEvent }) => void events.push(event),
  };
  return { session: session as unknown as SocketSession, events, state };
}

function watchersWith(seenBy: (viewerId: string, userId: string | undefined) => Promise<Seen>) {
  const watching = new Set<PresenceWatcher>();
  const asked: string[] = [];
  const watchers = new PresenceFanOut({
    presence: {
      idOf: () => "own",
      watch: (watcher) => {
        watching.add(watcher);
        return () => watching.delete(watcher);
      },
    },
    seenBy: (viewerId, userId) => {
      asked.push(viewerId);
      return seenBy(viewerId, userId);
    },
  });
  const tell = (joined: readonly LiveConnection[]) => {
    for (const { onChanges } of [...watching]) onChanges({ joined, left: [] });
  };
  const gap = () => {
    for (const { onGap } of [...watching]) onGap();
  };
  return { watchers, watching, asked, tell, gap };
}

const ownOnly = async (viewerId: string): Promise<Seen> => ({ userId: viewerId, visible: () => true });

it("asks once for all subscriptions of a viewer what they may see, and watches the list once for all viewers", async () => {
  const { watchers, watching, asked, tell, gap } = watchersWith(ownOnly);
  const sockets = Array.from({ length: 50 }, () => socketOf("ada"));
  const ends = sockets.map(({ session }) => watchers.add(session, 1, undefined));
  const bob = socketOf("bob");
  ends.push(watchers.add(bob.session, 1, undefined));
  expect(watching.size).toBe(1);
  gap();
  await eventually("everybody lists again", () => sockets.every(({ events }) => events.length === 1));
  asked.length = 0;
  tell([connection("ada"), connection("ada", "own"), connection("eve")]);
  await eventually("everybody is told", () => sockets.every(({ events }) => events.length === 2));
  expect(asked).toEqual(["ada", "bob"]);
  for (const { events } of sockets)
    expect(events[1]).toMatchObject({
      joined: [{ connection_id: "ada" }, { connection_id: "own", is_current: true }],
    });
  expect(bob.events).toEqual([{ resync: true }]);
  for (const end of ends) end();
  expect(watching.size).toBe(0);
});

it("tells a later subscriber at once that changes are reported from now on", async () => {
  const { watchers, gap } = watchersWith(ownOnly);
  const [first, late] = [socketOf("ada"), socketOf("ada")];
  watchers.add(first.session, 1, undefined);
  await new Promise((resolve) => setImmediate(resolve));
  expect(first.events).toEqual([]);
  gap();
  watchers.add(late.session, 1, undefined);
  await eventually("both were told", () => first.events.length === 1 && late.events.length >= 1);
});

it("refuses a fifth subscription of a socket, until another one ends", async () => {
  const { watchers } = watchersWith(ownOnly);
  const { session } = socketOf("ada");
  const ends = Array.from({ length: 4 }, (_, id) => watchers.add(session, id, undefined));
  expect(await refusal((async () => watchers.add(session, 5, undefined))())).toBe("not_allowed");
  ends[0]?.();
  watchers.add(session, 6, undefined);
});

it("says that changes were missed to whoever could not be told, and nothing else", async () => {
  let mayAsk = true;
  const { watchers, tell, gap } = watchersWith(async (viewerId) => {
    if (!mayAsk) throw new AuthError("unavailable");
    return ownOnly(viewerId);
  });
  const { session, events, state } = socketOf("ada");
  watchers.add(session, 1, undefined);
  gap();
  await eventually("the first event", () => events.length === 1);
  mayAsk = false;
  tell([connection("ada")]);
  await new Promise((resolve) => setImmediate(resolve));
  mayAsk = true;
  tell([connection("eve")]);
  await eventually("the second event", () => events.length === 2);
  state.hasRoom = false;
  tell([connection("ada")]);
  tell([connection("ada")]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(events).toHaveLength(2);
  state.hasRoom = true;
  await eventually("the third event", () => events.length === 3);
  expect(events).toEqual([{ resync: true }, { resync: true }, { resync: true }]);
});
