import type { Config } from "./config/schema.ts";

/** How clients reach the gateway, without a trailing slash. `port` is the port that it listens on. */
export function publicUrlOf(
  config: Pick<Config, "public_url" | "host" | "tls_cert_file">,
  port: number,
): string {
  if (config.public_url !== null) return configuredUrl(config.public_url);
  const scheme = config.tls_cert_file === null ? "http" : "https";
  return `${scheme}://${reachable(config.host)}:${port}`;
}

/** Nobody can connect to a wildcard address, so this machine's own address replaces it. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

/** `public_url` as it stands in front of the gateway's own paths: without a trailing slash. */
export function configuredUrl(publicUrl: string): string {
  return new URL(publicUrl).href.replace(/\/$/, "");
}
