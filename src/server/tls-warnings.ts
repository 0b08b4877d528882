import { BlockList, isIP } from "node:net";
import type { Log } from "../observability/log.ts";
import type { Config } from "./config/schema.ts";

const dayMs = 86_400_000;
/** 90-day certificates are renewed a month ahead: within this many days a renewal must have failed. */
const warnedDays = 14;

/** Warns if a certificate has expired or soon will. */
export function warnOfCertificateEnd(log: Pick<Log, "warn">, endsAt: number, now: number): void {
  if (endsAt - now > warnedDays * dayMs) return;
  const ends = new Date(endsAt).toISOString();
  if (endsAt <= now) log.warn({ ends }, "the TLS certificate has expired: clients refuse it");
  else log.warn({ ends }, `the TLS certificate expires within ${warnedDays} days`);
}

/**
 * Warns if other machines can connect without TLS. Trusted proxies, or a public URL with https, show that TLS ends in
 * front of the gateway.
 */
export function warnOfCleartext(
  log: Pick<Log, "warn">,
  config: Pick<Config, "host" | "public_url" | "trusted_proxies">,
): void {
  const { host, public_url, trusted_proxies } = config;
  if (isLoopback(host) || trusted_proxies.length > 0 || isHttps(public_url)) return;
  log.warn(
    { host },
    "passwords and tokens cross the network unencrypted, unless a TLS proxy is in front: set tls_cert_file and " +
      "tls_key_file, or trusted_proxies and public_url for a proxy",
  );
}

function isHttps(url: string | null): boolean {
  return url !== null && new URL(url).protocol === "https:";
}

function isLoopback(host: string): boolean {
  const [plain = ""] = host.split("%", 1);
  const family = isIP(plain);
  if (family === 0) return /^(?:.+\.)?localhost\.?$/i.test(host);
  const loopback = new BlockList();
  loopback.addSubnet("127.0.0.0", 8, "ipv4");
  loopback.addAddress("::1", "ipv6");
  return loopback.check(plain, family === 6 ? "ipv6" : "ipv4");
}
