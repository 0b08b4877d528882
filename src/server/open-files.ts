import { readFile } from "node:fs/promises";

import { optionOf } from "./config/options.ts";
import type { Config } from "./config/schema.ts";

/** Files that a gateway opens beside its sockets: the store, links to Redis, requests, the log. */
const besides = 256;
/** With the default of `limits.sockets`, a small installation is warned only below this. */
const few = 4_096;
/** Also what a file that `gatehouse check` printed sets, so whoever set it need not have chosen it. */
const defaultSockets = optionOf("limits.sockets")?.fallback;

/**
 * Warns if the process may not open as many files as `limits.sockets` needs: sockets beyond that are refused by the
 * system, and so is whatever else has to be opened then. Node itself raises the limit as far as the process may. Says
 * nothing where the system does not tell. Never rejects.
 */
export async function openFilesWarnings(
  config: Pick<Config, "limits">,
  readLimits: () => Promise<string> = () => readFile("/proc/self/limits", "utf8"),
): Promise<readonly string[]> {
  const { sockets } = config.limits;
  const needed = sockets + besides;
  const limit = softLimitIn(await readLimits().catch(() => ""));
  if (limit >= needed || (limit >= few && sockets === defaultSockets)) return [];
  return [
    `this process may open ${limit} files, but limits.sockets (${sockets}) needs ${needed}: raise the limit of open files ` +
      "(systemd: LimitNOFILE, Docker: --ulimit nofile, a shell: ulimit -n), or set limits.sockets lower",
  ];
}

/** Infinite also if the text does not say. */
function softLimitIn(text: string): number {
  const found = /^Max open files\s+(\d+)\s/m.exec(text)?.[1];
  return found === undefined ? Number.POSITIVE_INFINITY : Number(found);
}
