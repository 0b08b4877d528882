import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import type { Clock } from "../clock/clock.ts";
import { recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { type JsonObject, readRecord, retryConflicts, type Store } from "../store.ts";
import type { RegisteredClient } from "./client-record.ts";
import { isNarrower } from "./client-rules.ts";

export interface ConfiguredClientsTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Pick<Revocation, "revoke">;
  readonly configured: readonly RegisteredClient[];
  readonly find: (clientId: string) => Promise<RegisteredClient | undefined>;
  /** The client of the store with this id, also if the configuration hides it. */
  readonly findStored: (clientId: string) => Promise<RegisteredClient | undefined>;
}

/**
 * How long a client that is gone is remembered, ms. Until then each start of a gateway ends its sessions again: during a
 * rolling restart, gateways with the older configuration still open some.
 */
const goneKeptMs = 7 * 86_400_000;

const Remembered = Type.Object({
  id: Type.String(),
  grantTypes: Type.Array(Type.String()),
  scopes: Type.Array(Type.String()),
  resources: Type.Array(Type.String()),
  userId: Type.Union([Type.String(), Type.Null()]),
  /** When a gateway first started without it, ms; null: it is in the configuration. */
  goneAt: Type.Union([Type.Number(), Type.Null()]),
});
type Remembered = Static<typeof Remembered>;
const storedClients = Compile(Type.Object({ clients: Type.Array(Remembered) }));

/**
 * Ends the sessions of each client that the configuration has no longer, or narrows, since a gateway started last: what a
 * command does when it removes or narrows a client of the store. It also ends those of a client of the store that a client of the
 * configuration hides since, and that may do more. Returns the ids. NOT covered: sessions that a gateway
 * with the older configuration opens after a client was narrowed.
 */
export async function endWhatConfigurationTook(tools: ConfiguredClientsTools): Promise<readonly string[]> {
  const { store, revocation, configured } = tools;
  const key = recordKeys.configuredClients;
  return await retryConflicts(async () => {
    const record = await readRecord(store, key);
    const before = storedClients.Check(record?.value) ? record.value.clients : [];
    const ended: string[] = [];
    const end = async (clientId: string) => {
      await revocation.revoke({ kind: "client", clientId }, "session_revoked");
      ended.push(clientId);
    };
    const gone: Remembered[] = [];
    for (const client of before) {
      const after = await tools.find(client.id);
      if (after === undefined) gone.push(client);
      if (after !== undefined && !isNarrower(client, after)) continue;
      await end(client.id);
    }
    for (const client of newIn(configured, before)) {
      const hidden = await tools.findStored(client.id);
      if (hidden !== undefined && !ended.includes(client.id) && isNarrower(hidden, client))
        await end(client.id);
    }
    // Written after the sessions have ended: a start that fails in between is made up for by the next one.
    const value = { clients: next(tools, gone) };
    if (JSON.stringify(value.clients) === JSON.stringify(before)) return ended;
    const outcome = await store.commit({
      check: [{ key, version: record?.version ?? 0 }],
      put: [{ key, value: value as unknown as JsonObject }],
    });
    return outcome.ok ? ended : undefined;
  });
}

/** Those that the gateway which started last did not have. */
function newIn(
  configured: readonly RegisteredClient[],
  before: readonly Remembered[],
): readonly RegisteredClient[] {
  const known = new Set(before.flatMap(({ id, goneAt }) => (goneAt === null ? [id] : [])));
  return configured.filter(({ id }) => !known.has(id));
}

function next(
  { configured, clock }: ConfiguredClientsTools,
  gone: readonly Remembered[],
): readonly Remembered[] {
  const now = clock.now();
  const present = configured.map(({ id, grantTypes, scopes, resources, userId }) => ({
    id,
    grantTypes: [...grantTypes],
    scopes: [...scopes],
    resources: [...resources],
    userId,
    goneAt: null,
  }));
  const missing = gone.map((client) => ({ ...client, goneAt: client.goneAt ?? now }));
  return [...present, ...missing.filter(({ goneAt }) => now - goneAt < goneKeptMs)];
}
