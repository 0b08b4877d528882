import { areParametersSane } from "../../auth/passwords/scrypt-parameters.ts";
import { addressRangeProblem } from "../../net/address-ranges.ts";
import { createOriginPolicy } from "../../net/origin.ts";
import { parseRedisUrl } from "../../store/redis/address.ts";
import type { Problem } from "./problems.ts";
import { factorEntriesProblem, providerEntriesProblem } from "./provider-checks.ts";
import type { Config } from "./schema.ts";
import { hostProblem, textProblems } from "./text-checks.ts";

const scryptTooMuch = "with scrypt_r and scrypt_p takes more than 1 GiB or 16 times the default's work";

type Rule = (config: Config) => string | undefined;

/** Rules that a schema cannot express, one for each option. */
const rules: Readonly<Record<string, Rule>> = {
  host: ({ host }) => hostProblem(host),
  transport: ({ transport, tls_cert_file, tls_key_file }) =>
    transport === "uws" && (tls_cert_file !== null || tls_key_file !== null)
      ? "is not supported on uws: use ws, or leave tls_cert_file and tls_key_file out"
      : undefined,
  tls_cert_file: ({ tls_cert_file, tls_key_file }) =>
    tls_cert_file !== null && tls_key_file === null ? "needs tls_key_file as well" : undefined,
  tls_key_file: ({ tls_cert_file, tls_key_file }) =>
    tls_key_file !== null && tls_cert_file === null ? "needs tls_cert_file as well" : undefined,
  public_url: ({ public_url }) => (public_url === null ? undefined : webAddressProblem(public_url)),
  trusted_proxies: ({ trusted_proxies }) => firstProblem(trusted_proxies, addressRangeProblem),
  "metrics.readers": ({ metrics }) => firstProblem(metrics.readers, addressRangeProblem),
  origins: ({ origins }) => firstProblem(origins, originProblem),
  auth_providers: ({ auth_providers, auth_mfa_modules: factors, public_url: publicUrl, transport }) =>
    providerEntriesProblem(auth_providers, { factors, publicUrl, transport }),
  auth_mfa_modules: ({ auth_mfa_modules }) => factorEntriesProblem(auth_mfa_modules),
  store: ({ store }) => (store === null ? undefined : storeProblem(store)),
  secret_file: ({ secret, secret_file }) =>
    secret !== null && secret_file !== null ? "excludes secret: give one of the two" : undefined,
  "password.scrypt_n": ({ password }) => {
    const { scrypt_n: N, scrypt_r: r, scrypt_p: p } = password;
    if (!Number.isInteger(Math.log2(N))) return "must be a power of two";
    return areParametersSane({ N, r, p }) ? undefined : scryptTooMuch;
  },
};

export function checkSemantics(config: Config, sourceOf: (key: string) => string, problems: Problem[]): void {
  const ofTexts = textProblems(config);
  for (const [key, message] of ofTexts) problems.push({ key, source: sourceOf(key), message });
  for (const [key, rule] of Object.entries(rules)) {
    const message = ofTexts.has(key) ? undefined : rule(config);
    if (message !== undefined) problems.push({ key, source: sourceOf(key), message });
  }
}

/** A list's problem names the position, not the entry. */
function firstProblem(
  entries: readonly string[],
  problemOf: (entry: string) => string | undefined,
): string | undefined {
  for (const [place, entry] of entries.entries()) {
    const problem = problemOf(entry);
    if (problem !== undefined) return `entry ${place + 1} ${problem}`;
  }
  return undefined;
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** A path that everybody writes alike: proxies and clients decode and resolve others in different ways. */
const plainPath = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)*\/?$/;

function webAddressProblem(text: string): string | undefined {
  const url = urlOf(text);
  if (url === undefined || !/^https?:$/.test(url.protocol)) return "must be a URL with http or https";
  if (url.username !== "" || url.password !== "" || /[?#]/.test(text))
    return "must not have user, query or fragment";
  return plainPath.test(text.replace(/^https?:\/\/[^/]*/i, ""))
    ? undefined
    : "must not have other things in its path than letters, digits and . _ ~ -";
}

function originProblem(entry: string): string | undefined {
  try {
    createOriginPolicy([entry]);
    return undefined;
  } catch {
    return "is not an origin: write scheme, host and, unless it is the default, the port, as browsers do";
  }
}

const storeSchemes: ReadonlySet<string> = new Set([
  "redis:",
  "rediss:",
  "redis+sentinel:",
  "rediss+sentinel:",
  "redis+cluster:",
  "rediss+cluster:",
]);

/** Sentinel and Cluster URLs name several hosts, which `URL` cannot parse. The store parses them itself. */
function storeProblem(text: string): string | undefined {
  const scheme = /^[a-z+]+:(?=\/\/.)/.exec(text)?.[0];
  if (scheme === undefined || !storeSchemes.has(scheme))
    return `must begin with ${[...storeSchemes].map((known) => `${known}//`).join(", ")}`;
  try {
    parseRedisUrl(text);
    return undefined;
  } catch (error) {
    return `cannot be used: ${error instanceof Error ? error.message : "it cannot be parsed"}`;
  }
}
