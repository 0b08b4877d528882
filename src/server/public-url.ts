import type { Config } from "./config/schema.ts";

/** How clients reach the gateway, without a trailing slash. `port` is the one that it listens on. */
export function publicUrlOf(config: Pick<Config, "public_url" | "host">, port: number): string {
  return config.public_url === null
    ? `http://${reachable(config.host)}:${port}`
    : new URL(config.public_url).origin;
}

/** Nobody can connect to a wildcard address: this machine stands for it. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}
