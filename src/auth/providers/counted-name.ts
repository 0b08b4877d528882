import { normaliseLoginName } from "./homeassistant/login-name.ts";

/**
 * The name that tries are counted for: coarser than a backend compares (directories: RFC 4518; Active
 * Directory also ignores accents), so no spelling of a name has a counter of its own.
 */
export function countedName(username: string): string {
  return normaliseLoginName(username).normalize("NFD").replaceAll(/\p{M}/gu, "").replaceAll(/\s+/gu, " ");
}
