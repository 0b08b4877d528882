import { hash, randomBytes } from "node:crypto";

import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { EventBus } from "../event-bus.ts";
import type { PageRequest } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { type LoopYielder, sliceSize } from "../scheduling/loop-yielder.ts";
import { mergeSteps, readRecord, retryConflicts, type Step, type Store } from "../store.ts";
import type { Users } from "../users/users.ts";
import { isRegisteredId } from "./client-id.ts";
import { clientChecks, clientPut, parseClient, type RegisteredClient } from "./client-record.ts";
import { checkRegistration, isNarrower } from "./client-rules.ts";
import { endWhatConfigurationTook } from "./end-unconfigured-clients.ts";

/** What an administrator decides on. */
export type ClientRegistration = Omit<RegisteredClient, "secretHash" | "source" | "version">;
export type ClientChanges = Partial<Omit<ClientRegistration, "id" | "authMethod">>;

/** A client with its new secret, which nothing shows again; null for one that has no secret. */
export interface ClientWithSecret {
  readonly client: RegisteredClient;
  readonly secret: string | null;
}

/**
 * Registered clients (RFC 6749 section 2): those of the configuration, and those of the store. One of the
 * configuration hides one of the store with the same id, and only the configuration changes it.
 */
export interface RegisteredClients {
  find(clientId: string): Promise<RegisteredClient | undefined>;
  /** Every client. Yields to other work. */
  all(): Promise<readonly RegisteredClient[]>;
  /** Those of the configuration come first, on the first page. */
  page(
    request: PageRequest,
  ): Promise<{ readonly clients: readonly RegisteredClient[]; readonly next?: string }>;
  /** Throws `client_exists`, `invalid_format`, `not_found` (the system user), `too_many_clients`. */
  register(registration: ClientRegistration): Promise<ClientWithSecret>;
  /**
   * Ends the client's sessions if it narrows what they may do. Throws `not_found`, `client_configured`,
   * `invalid_format`.
   */
  update(clientId: string, changes: ClientChanges): Promise<RegisteredClient>;
  /** Replaces the secret. Throws `not_found`, `client_configured`, `not_supported` for a client without a secret. */
  renewSecret(clientId: string): Promise<ClientWithSecret>;
  /** Ends all of its sessions too. Throws `not_found`, `client_configured`. */
  remove(clientId: string): Promise<void>;
  /**
   * Calls `onChanged` after a client was registered, changed or removed on any node, or might have been. Such an event may be
   * lost. Must not throw.
   */
  watch(onChanged: () => void): () => void;
  /** See `endWhatConfigurationTook`. Each gateway calls it at its start, before it serves anybody. */
  endWhatConfigurationTook(): Promise<readonly string[]>;
}

export interface RegisteredClientsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Pick<Revocation, "revoke">;
  readonly users: Pick<Users, "current">;
  readonly events: EventBus;
  readonly yielder: LoopYielder;
  readonly configured: readonly RegisteredClient[];
}

const maxClients = 1000;
/** The topic of the event that some client was changed. */
const topic = "clients_changed";

/** Secrets are random and as long as a key, so one round of SHA-256 is enough: nobody can guess them. */
export function hashClientSecret(secret: string): string {
  return hash("sha256", secret, "base64url");
}

export function createRegisteredClients(options: RegisteredClientsOptions): RegisteredClients {
  const { store, revocation, events } = options;
  const configured = new Map(options.configured.map((client) => [client.id, client]));
  const change = async (clientId: string, next: Change) => {
    if (configured.has(clientId)) throw new AuthError("client_configured");
    const changed = await changeStored(store, clientId, next);
    events.publish(topic, {});
    return changed;
  };
  const { findStored, ...reading } = createReading(options, configured);
  return {
    ...reading,
    async register(registration) {
      const { client, secret } = withNewSecret({
        ...registration,
        secretHash: null,
        source: "store",
        version: 0,
      });
      checkRegistration(client);
      await requireSystemUser(options, client);
      if (configured.has(client.id)) throw new AuthError("client_exists");
      if ((await store.list(indexKeys.clients, { limit: maxClients })).length >= maxClients)
        throw new AuthError("too_many_clients");
      const outcome = await store.commit(registrationStep(client));
      if (!outcome.ok) throw new AuthError("client_exists");
      events.publish(topic, {});
      return { client, secret };
    },
    async update(clientId, changes) {
      const { before, client } = await change(clientId, async (present) => {
        const next = { ...present, ...changes };
        checkRegistration(next);
        await requireSystemUser(options, next);
        return next;
      });
      if (isNarrower(before, client))
        await revocation.revoke({ kind: "client", clientId }, "session_revoked");
      return client;
    },
    async renewSecret(clientId) {
      let renewed: ClientWithSecret | undefined;
      await change(clientId, (present) => {
        if (present.authMethod !== "client_secret") throw new AuthError("not_supported");
        renewed = withNewSecret(present);
        return renewed.client;
      });
      if (renewed === undefined) throw new RangeError("a change that was not made");
      return renewed;
    },
    async remove(clientId) {
      if (configured.has(clientId)) throw new AuthError("client_configured");
      await retryConflicts(async () => {
        const outcome = await store.commit(removalStep(await stored(store, clientId)));
        return outcome.ok || undefined;
      });
      events.publish(topic, {});
      await revocation.revoke({ kind: "client", clientId }, "session_revoked");
    },
    watch: (onChanged) => events.subscribe(topic, { onMessage: onChanged, onGap: onChanged }),
    endWhatConfigurationTook: () => endWhatConfigurationTook({ ...options, ...reading, findStored }),
  };
}

function createReading(
  { store, yielder }: RegisteredClientsOptions,
  configured: ReadonlyMap<string, RegisteredClient>,
) {
  const findStored = async (clientId: string) => {
    const record = isRegisteredId(clientId)
      ? await readRecord(store, recordKeys.client(clientId))
      : undefined;
    return record && parseClient(record);
  };
  const find = async (clientId: string) => configured.get(clientId) ?? (await findStored(clientId));
  const reading: Pick<RegisteredClients, "find" | "all" | "page"> = {
    find,
    async all() {
      const ids = await store.list(indexKeys.clients, { limit: maxClients });
      const found = [...configured.values()];
      for (let at = 0; at < ids.length; at += sliceSize) {
        found.push(...(await readStored(store, ids.slice(at, at + sliceSize), configured)));
        await yielder.next();
      }
      return found;
    },
    async page({ after, limit }) {
      const ids = await store.list(indexKeys.clients, { after, limit: Math.min(limit, maxClients) });
      const shown = await readStored(store, ids, configured);
      const last = ids.length === limit ? ids.at(-1) : undefined;
      const clients = after === undefined ? [...configured.values(), ...shown] : shown;
      return last === undefined ? { clients } : { clients, next: last };
    },
  };
  return { ...reading, findStored };
}

async function readStored(
  store: Store,
  ids: readonly string[],
  hiddenBy: ReadonlyMap<string, unknown>,
): Promise<readonly RegisteredClient[]> {
  const records = await store.get(ids.map(recordKeys.client));
  const found = records.flatMap((record) => (record === undefined ? [] : (parseClient(record) ?? [])));
  return found.filter(({ id }) => !hiddenBy.has(id));
}

type Change = (client: RegisteredClient) => RegisteredClient | Promise<RegisteredClient>;

async function changeStored(store: Store, clientId: string, next: Change) {
  return await retryConflicts(async () => {
    const before = await stored(store, clientId);
    const client = await next(before);
    const outcome = await store.commit({ check: clientChecks(before), put: [clientPut(client)] });
    return outcome.ok ? { before, client } : undefined;
  });
}

async function stored(store: Store, clientId: string): Promise<RegisteredClient> {
  const record = isRegisteredId(clientId) ? await readRecord(store, recordKeys.client(clientId)) : undefined;
  const client = record && parseClient(record);
  if (client === undefined) throw new AuthError("not_found", { publicMessage: "There is no such client" });
  return client;
}

function withNewSecret(client: RegisteredClient): ClientWithSecret {
  if (client.authMethod !== "client_secret") return { client, secret: null };
  const secret = randomBytes(32).toString("base64url");
  return { client: { ...client, secretHash: hashClientSecret(secret) }, secret };
}

async function requireSystemUser(
  { users }: Pick<RegisteredClientsOptions, "users">,
  { userId }: RegisteredClient,
): Promise<void> {
  if (userId !== null && (await users.current(userId))?.systemGenerated !== true)
    throw new AuthError("not_found", { publicMessage: "There is no such system user" });
}

function registrationStep(client: RegisteredClient): Step {
  return mergeSteps(
    { check: [{ key: recordKeys.client(client.id), version: 0 }] },
    { put: [clientPut(client)], link: [{ index: indexKeys.clients, member: client.id }] },
  );
}

function removalStep(client: RegisteredClient): Step {
  return {
    check: clientChecks(client),
    remove: [recordKeys.client(client.id), recordKeys.clientSession(client.id)],
    unlink: [{ index: indexKeys.clients, member: client.id }],
  };
}
