import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import type { Config } from "../server/config/schema.ts";
import { type OpenAuthority, openAuthority } from "../server/open-authority.ts";
import { requireDataFile } from "../server/secret.ts";

/**
 * Opens a new installation in a folder of its own, which `close` removes. A given secret must be readable, as for the
 * installation that is configured. Throws `SecretError`, also if the configured installation has lost its data file.
 */
export async function openTemporaryInstallation(config: Config): Promise<OpenAuthority> {
  await requireDataFile(config);
  const data = await mkdtemp(path.join(tmpdir(), "gatehouse-"));
  const remove = () => rm(data, { recursive: true, force: true });
  try {
    const opened = await openAuthority({ ...config, data, store: null }, { role: "cli", creates: true });
    return { ...opened, close: () => opened.close().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}
