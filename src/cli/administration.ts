import type { Authority } from "../auth/authority.ts";
import type { AuditRecord } from "../auth/model.ts";
import { createAudit } from "../observability/audit.ts";
import { auditedAuthority } from "../observability/audited-authority.ts";
import type { Config } from "../server/config/schema.ts";
import { InstallationError } from "../server/installation.ts";
import { type OpenAuthority, openAuthority, systemClock } from "../server/open-authority.ts";
import { watchRevocations } from "../server/revocation-watch.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import { UsageError } from "./output.ts";
import { openTemporaryInstallation } from "./temporary-installation.ts";

/** No socket waits for a command, so a command waits for a slow store where a gateway would refuse work. */
const storeTimeoutMs = 5_000;

export interface StoreAccess {
  /** Follow the log meanwhile, so that revocations report what the gateways applied. */
  readonly followLog?: boolean;
  /** Create the installation if there is none. Otherwise a missing installation is a usage error. */
  readonly createIfMissing?: boolean;
  /** For what writes nothing: if there is no installation, this is called, and the action gets an empty one. */
  readonly onMissing?: (() => void) | undefined;
}

/**
 * Runs `action` on the store that the flags name, beside a running gateway or without one. Its commits reach every node
 * through the log.
 */
export async function withAuthority<T>(
  flags: ConfigFlags & { readonly provider?: string },
  environment: { readonly env: Readonly<Record<string, string | undefined>> },
  action: (authority: Authority) => Promise<T>,
  access: StoreAccess = {},
): Promise<T> {
  const config = configurationOf(flags, environment.env);
  const slowStoreConfig = { ...config, store_timeout_ms: Math.max(config.store_timeout_ms, storeTimeoutMs) };
  const opened = await open(slowStoreConfig, access);
  const relayed = relayingAudit(opened.authority);
  let stopWatching = async () => {};
  try {
    if (access.followLog === true)
      stopWatching = await watchRevocations(slowStoreConfig, opened, systemClock);
    return await action(atProvider(relayed.authority, flags.provider));
  } finally {
    await relayed.written();
    await stopWatching();
    await opened.close();
  }
}

async function open(
  config: Config,
  { createIfMissing = false, onMissing }: StoreAccess,
): Promise<OpenAuthority> {
  try {
    return await openAuthority(config, { role: "cli", creates: createIfMissing });
  } catch (error) {
    if (onMissing === undefined || !(error instanceof InstallationError)) throw error;
    const opened = await openTemporaryInstallation(config);
    onMissing();
    return opened;
  }
}

/** The authority whose local logins are those of this provider, by id. */
function atProvider(authority: Authority, id: string | undefined): Authority {
  if (id === undefined) return authority;
  const localLogins = authority.localLoginsOf(id);
  if (localLogins === undefined)
    throw new UsageError("--provider names no homeassistant provider of auth_providers");
  return { ...authority, localLogins };
}

/**
 * A command has no log that is kept, so the gateways write its audit records to theirs. If the store does not take a
 * record, the command's own outcome stands, because it says more.
 */
function relayingAudit(authority: Authority) {
  const writes: Promise<void>[] = [];
  const audit = createAudit((record) => {
    writes.push(authority.relayAudit(plainRecord(record)).catch(() => undefined));
  });
  const actor = { via: "command_line", userId: null, sessionId: null, address: null } as const;
  return {
    authority: auditedAuthority(authority, audit).as(actor),
    written: async () => void (await Promise.all(writes)),
  };
}

/** Drops undefined members. Records hold plain values only. */
function plainRecord(record: object): AuditRecord {
  return JSON.parse(JSON.stringify(record)) as AuditRecord;
}
