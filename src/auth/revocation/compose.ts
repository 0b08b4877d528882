import type { AuthorityOptions } from "../authority.ts";
import { createDemandRepair, type DemandTable } from "../factors/demand-table.ts";
import { type PermissionTables, permissionRepairs } from "../permissions/compose.ts";
import { recordKeys } from "../record-keys.ts";
import type { LoopYielder } from "../scheduling/loop-yielder.ts";
import { defaultAccessTokenTtlMs } from "../sessions/sessions.ts";
import { readRecord } from "../store.ts";
import type { createKeyring } from "../tokens/keyring.ts";
import type { KeyringReloader } from "../tokens/keyring-reloader.ts";
import type { Sealing } from "../tokens/sealing.ts";
import type { createCredentials } from "../users/credentials.ts";
import { createRevocation } from "./revocation.ts";
import { createLoginRepair } from "./rollback/repair-logins.ts";
import { createOwnerRepair } from "./rollback/repair-owner.ts";
import { createUserRepair } from "./rollback/repair-users.ts";

/** Composes revocation, with its repair of signing keys and records after the store lost writes. */
export function composeRevocation(
  options: AuthorityOptions,
  parts: {
    readonly sealing: Sealing;
    readonly credentials: ReturnType<typeof createCredentials>;
    readonly yielder: LoopYielder;
    readonly keyring: Awaited<ReturnType<typeof createKeyring>>;
    readonly keyringReloader: KeyringReloader;
    readonly tables: PermissionTables;
    readonly demandTable: DemandTable;
  },
) {
  const { store, clock } = options;
  const { sealing, keyring, keyringReloader, credentials, yielder, tables, demandTable } = parts;
  const ofPermissions = permissionRepairs(store, tables);
  const ofDemands = createDemandRepair({ store, table: demandTable });
  return createRevocation({
    store,
    clock,
    sealing,
    longestTokenMs: options.accessTokenTtlMs ?? defaultAccessTokenTtlMs,
    async restoreKeyring() {
      // Rejects while the store is unavailable. If the record is damaged or missing, the node goes on with the keys
      // that it has.
      await readRecord(store, recordKeys.keyring);
      await keyring.reload().catch(keyringReloader.changed);
    },
    onKeyringChanged(dropped) {
      keyring.drop(dropped);
      keyringReloader.changed();
    },
    repairs: {
      ofUser: createUserRepair({ store, credentials }),
      ofOwner: createOwnerRepair({ store }),
      ofLogin: createLoginRepair({ store, clock, credentials, yielder }),
      others: () => [...ofPermissions(), ...ofDemands()],
    },
    onListenerFault: options.onFault,
    machineClock: options.machineClock,
    ...options.revocation,
    disabledSafeguards: options.disabledSafeguards,
  });
}
