import { profileName } from "../profile-name.ts";
import type { Profile } from "../provider.ts";

/**
 * What a command says about the person, in lines `key = value`, read as Home Assistant does: spaces around key and value do
 * not count, lines that begin with `#` and unknown keys are ignored, and the last of several lines counts. The keys are
 * `name`, `group` (one id) and `local_only` (`true`, or anything else for false).
 */
export function readMetaLines(output: Buffer): Profile {
  const values = new Map<string, string>();
  for (const line of output.toString("utf8").split(/\r\n|\r|\n/)) {
    const equals = line.indexOf("=");
    // U+FFFD: the line was not UTF-8.
    if (equals === -1 || line.trimStart().startsWith("#") || line.includes("�")) continue;
    values.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim());
  }
  const group = values.get("group");
  const localOnly = values.get("local_only");
  return {
    name: profileName(values.get("name")),
    ...(group === undefined || group === "" ? {} : { groupIds: [group] }),
    ...(localOnly === undefined ? {} : { localOnly: localOnly === "true" }),
  };
}
