import { isIP } from "node:net";

import { isSecretFactorOption } from "../../auth/factors/factor-types.ts";
import { isSecretOption } from "../../auth/providers/provider-types.ts";
import { type Option, options } from "./options.ts";
import { type Config, environmentOnly } from "./schema.ts";

/** C0, DEL, C1, and the two line breaks of Unicode: they cut a header, a line of a log or a file's name in two. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** Options of entries that end in none of these: what a program or a module of the operator's gets, and texts for people. */
const freeOptions: ReadonlySet<string> = new Set(["args", "options", "message", "groups_separator"]);

const mustNot = "must not hold control characters or line breaks";

/** What is wrong with the text of each option: in URLs, headers, names of files and logs no text has control characters. */
export function textProblems(config: Config): ReadonlyMap<string, string> {
  const problems = new Map<string, string>();
  for (const option of options) {
    if (environmentOnly.has(option.key)) continue;
    const value = option.path.reduce<unknown>(
      (node, name) => (node as Record<string, unknown>)[name],
      config,
    );
    const problem = problemOf(option, value);
    if (problem !== undefined) problems.set(option.key, problem);
  }
  return problems;
}

function problemOf({ key, kind }: Option, value: unknown): string | undefined {
  if (!Array.isArray(value)) return holdsControl(value) ? mustNot : undefined;
  for (const [place, entry] of (value as readonly unknown[]).entries()) {
    const here = `entry ${place + 1}`;
    if (kind !== "entries" && holdsControl(entry)) return `${here} ${mustNot}`;
    const name = kind === "entries" ? wrongOptionOf(key, entry as object) : undefined;
    if (name !== undefined) return `${here} has a wrong ${name}: ${mustNot}`;
  }
  return undefined;
}

function wrongOptionOf(key: string, entry: object): string | undefined {
  return Object.entries(entry).find(
    ([name, value]) => !freeOptions.has(name) && !isSecretIn(key, entry, name) && holdsControl(value),
  )?.[0];
}

/** A secret may be any text: it is compared, and shown nowhere. */
function isSecretIn(key: string, entry: object, name: string): boolean {
  if (key === "auth_providers") return isSecretOption(entry as Config["auth_providers"][number], name);
  return (
    key === "auth_mfa_modules" && isSecretFactorOption(entry as Config["auth_mfa_modules"][number], name)
  );
}

/** In a text, or in any text of a list or a mapping, names included. */
function holdsControl(value: unknown): boolean {
  if (typeof value === "string") return controlCharacter.test(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, child]) => controlCharacter.test(name) || holdsControl(child));
}

const hostName =
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i;
const addressWithZone = /^([^%]*)(?:%[a-z0-9._~-]+)?$/i;

/** Undefined for an IP address, with a zone too, and for what can be the name of a host. */
export function hostProblem(host: string): string | undefined {
  const address = addressWithZone.exec(host)?.[1] ?? "";
  // `canParse` refuses what looks like an IPv4 address and is none, as 300.1.1.1.
  const isHost =
    isIP(host) !== 0 ||
    isIP(address) === 6 ||
    (hostName.test(host) && host.length <= 253 && URL.canParse(`http://${host}/`));
  return isHost ? undefined : "must be an IP address, without brackets and port, or the name of a host";
}
