import { setImmediate as nextTurn } from "node:timers/promises";

import type { RegisteredClient } from "../clients/client-record.ts";
import type { RegisteredClients } from "../clients/registered-clients.ts";
import type { Clock } from "../clock/clock.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { SecurityEvent } from "../revocation/security-events.ts";
import { parseSession } from "../sessions/session-record.ts";
import type { Store } from "../store.ts";
import type { IdTokens } from "../tokens/id-tokens.ts";
import { LogoutDelivery, type LogoutNotice } from "./logout-delivery.ts";

/**
 * Back-channel logout to registered clients that asked for it (OpenID Connect Back-Channel Logout 1.0). Every node
 * hears of every revocation; the node that claims a notice first sends it. Best effort: a notice is tried a few times,
 * and lost if its node ends meanwhile. The revocation itself does not wait for it.
 */
export interface LogoutNotices {
  /** A listener of revocations. Does not wait. */
  heard(event: SecurityEvent): void;
  /** Nothing more is sent. */
  close(): void;
}

export interface LogoutNoticeOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly clients: Pick<RegisteredClients, "all" | "watch">;
  readonly idTokens: Pick<IdTokens, "mintLogout">;
  /** Sends the token; rejects unless the client has taken it. */
  readonly send: (uri: string, logoutToken: string) => Promise<void>;
  /** A notice was given up, or could not be found out. */
  readonly onFault: (error: unknown, clientId?: string) => void;
  readonly delaysMs?: readonly number[];
}

const defaultDelaysMs = [2_000, 10_000, 60_000];
/** A claim has to outlive the log's delivery to the slowest node. */
const claimMs = 10 * 60_000;
const clientsCachedMs = 10_000;
/** Between them, other work of the event loop comes. */
const usersAtOnce = 50;
type Notified = ReadonlyMap<string, string>;

export function createLogoutNotices(options: LogoutNoticeOptions): LogoutNotices {
  const { store, idTokens, onFault, delaysMs = defaultDelaysMs } = options;
  const { notified, close } = createNotified(options);
  const delivery = new LogoutDelivery({
    async deliver(notice) {
      const uri = (await notified()).get(notice.clientId);
      if (uri !== undefined) await options.send(uri, await idTokens.mintLogout(notice));
    },
    onFault,
    delaysMs,
  });
  const find = async (event: SecurityEvent): Promise<void> => {
    if (event.kind === "client" || event.kind === "all")
      return await ofEverybody(options, event, await notified(), (found) => delivery.add(found));
    if (event.kind !== "sessions" && event.kind !== "user") return;
    const uris = await notified();
    if (event.kind === "sessions" && uris.size === 0) return;
    const found = event.kind === "sessions" ? await ofSessions(store, event) : await ofUser(store, event);
    const wanted = found.filter(({ clientId }) => uris.has(clientId));
    const claims = await Promise.all(wanted.map((notice) => claim(options, nameOf(notice, event))));
    delivery.add(wanted.filter((_, place) => claims[place]));
    if (event.kind === "user" && found.length > 0) await forgetRemoved(store, event.userId, found);
  };
  return {
    heard: (event) => void find(event).catch((error: unknown) => onFault(error)),
    close() {
      close();
      delivery.close();
    },
  };
}

/**
 * Revocations are many, and clients that want to know of them few. What was read is forgotten when a client changes. That
 * event may be lost, so it is read again after a while, too.
 */
function createNotified({ clients, clock }: LogoutNoticeOptions) {
  let cached: { readonly at: number; readonly notified: Promise<Notified> } | undefined;
  const close = clients.watch(() => {
    cached = undefined;
  });
  const notified = (): Promise<Notified> => {
    const now = clock.monotonic();
    if (cached === undefined || now - cached.at > clientsCachedMs) {
      const fresh = { at: now, notified: clients.all().then(withLogoutUri) };
      cached = fresh;
      fresh.notified.catch(() => {
        if (cached === fresh) cached = undefined;
      });
    }
    return cached.notified;
  };
  return { notified, close };
}

function withLogoutUri(clients: readonly RegisteredClient[]): Notified {
  return new Map(clients.flatMap(({ id, logoutUri }) => (logoutUri === null ? [] : [[id, logoutUri]])));
}

/** The record of a session that was revoked stays for a while. */
async function ofSessions(
  store: Store,
  { userId, sessionIds }: Extract<SecurityEvent, { kind: "sessions" }>,
): Promise<readonly LogoutNotice[]> {
  const records = await store.get(sessionIds.map(recordKeys.session));
  return records.flatMap((record) => {
    const session = record && parseSession(record);
    return session == null || session.clientId === null
      ? []
      : [{ clientId: session.clientId, userId, sessionId: session.id }];
  });
}

async function ofUser(
  store: Store,
  { userId }: { readonly userId: string },
): Promise<readonly LogoutNotice[]> {
  const clientIds = await store.list(indexKeys.clientsOf(userId), { limit: 1000 });
  return clientIds.map((clientId) => ({ clientId, userId, sessionId: null }));
}

/** What is kept of a removed user. A node that hears of the removal later finds nothing, and has nothing to claim. */
async function forgetRemoved(store: Store, userId: string, found: readonly LogoutNotice[]): Promise<void> {
  const key = recordKeys.user(userId);
  const index = indexKeys.clientsOf(userId);
  // Without effect if the user is there.
  await store.commit({
    check: [{ key, version: 0 }],
    unlink: found.map(({ clientId }) => ({ index, member: clientId })),
  });
}

/**
 * Every user who has or had a session of a client whose sessions all ended. The node that claims the event looks for them;
 * the notices that it has not sent when it ends are lost.
 */
async function ofEverybody(
  { store, clock }: Pick<LogoutNoticeOptions, "store" | "clock">,
  event: Extract<SecurityEvent, { kind: "client" | "all" }>,
  uris: Notified,
  send: (found: readonly LogoutNotice[]) => void,
): Promise<void> {
  const ended = event.kind === "all" ? [...uris.keys()] : [event.clientId].filter((id) => uris.has(id));
  const which = event.kind === "all" ? "" : event.clientId;
  if (ended.length === 0 || !(await claim({ store, clock }, [which, `everybody:${event.epoch}`]))) return;
  for (let after: string | undefined, more = true; more; ) {
    await nextTurn();
    const userIds = await store.list(indexKeys.users, { after, limit: usersAtOnce });
    for (const userId of userIds) {
      const found = await ofUser(store, { userId });
      send(found.filter(({ clientId }) => ended.includes(clientId)));
    }
    after = userIds.at(-1);
    more = userIds.length === usersAtOnce;
  }
}

function nameOf({ clientId, userId, sessionId }: LogoutNotice, event: SecurityEvent): NoticeName {
  return [clientId, sessionId ?? `${userId}:${event.kind === "user" ? event.epoch : 0}`];
}

type NoticeName = readonly [clientId: string, what: string];

/** True at the first node only. */
async function claim(
  { store, clock }: Pick<LogoutNoticeOptions, "store" | "clock">,
  name: NoticeName,
): Promise<boolean> {
  const key = recordKeys.logoutNotice(...name);
  const put = [{ key, value: {}, expiresAt: clock.now() + claimMs }];
  return (await store.commit({ check: [{ key, version: 0 }], put })).ok;
}
