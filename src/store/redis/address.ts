export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is, parsed from the store's URL. */
export interface RedisAddress {
  readonly mode: "standalone" | "sentinel" | "cluster";
  readonly tls: boolean;
  readonly hosts: readonly RedisHost[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  /** The name by which the Sentinels know the primary. */
  readonly primary: string | undefined;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  /** The URL without secrets, for logs and errors. */
  readonly masked: string;
}

const shape = /^(rediss?)(\+sentinel|\+cluster)?:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(\/[^?#]*)?(?:\?([^#]*))?$/;

/**
 * Reads `redis://[user:password@]host[:port][/db]`, `redis+sentinel://...host:port,host:port/primary[/db]` (with
 * `?sentinel_username=&sentinel_password=`) and `redis+cluster://...host:port,host:port`. The scheme `rediss` is TLS
 * for all of them. Throws an Error for anything else; its message never holds the URL, which may contain a password.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const match = shape.exec(url);
  const [, scheme, suffix, userInfo, hostList = "", path = "", query = ""] = match ?? [];
  if (match === null) {
    throw new Error(
      "the store URL is not redis://, rediss://, redis+sentinel:// or redis+cluster:// with a host",
    );
  }
  const mode = suffix === "+sentinel" ? "sentinel" : suffix === "+cluster" ? "cluster" : "standalone";
  const hosts = hostList.split(",").map((text) => parseHost(text, mode === "sentinel" ? 26_379 : 6_379));
  if (mode === "standalone" && hosts.length !== 1) throw new Error("a redis:// store URL has one host");
  const { primary, db } = parsePath(mode, path);
  const { sentinelUsername, sentinelPassword } = parseQuery(mode, query);
  return {
    mode,
    tls: scheme === "rediss",
    hosts,
    ...parseUser(userInfo),
    db,
    primary,
    sentinelUsername,
    sentinelPassword,
    masked: `${scheme}${suffix ?? ""}://${userInfo === undefined ? "" : "***@"}${hostList}${path}`,
  };
}

function parseHost(text: string, defaultPort: number): RedisHost {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? defaultPort);
  if (match?.[1] === undefined || port < 1 || port > 65_535)
    throw new Error("the store URL has an invalid host");
  return { host: match[1].replaceAll(/[[\]]/g, ""), port };
}

function parseUser(userInfo: string | undefined) {
  if (userInfo === undefined) return { username: undefined, password: undefined };
  const colon = userInfo.indexOf(":");
  const username = colon < 0 ? userInfo : userInfo.slice(0, colon);
  const password = colon < 0 ? "" : userInfo.slice(colon + 1);
  return { username: decode(username), password: decode(password) };
}

function decode(text: string): string | undefined {
  try {
    return text === "" ? undefined : decodeURIComponent(text);
  } catch {
    throw new Error("the store URL's user or password is not percent-encoded properly");
  }
}

function parsePath(mode: RedisAddress["mode"], path: string) {
  const parts = path.split("/").filter((part) => part !== "");
  const primary = mode === "sentinel" ? decode(parts.shift() ?? "") : undefined;
  if (mode === "sentinel" && primary === undefined) {
    throw new Error("a redis+sentinel:// store URL names the primary: redis+sentinel://host:port/NAME");
  }
  const db = Number(parts.shift() ?? 0);
  if (!Number.isInteger(db) || db < 0 || parts.length > 0)
    throw new Error("the store URL's database is not a number");
  if (mode === "cluster" && db !== 0) throw new Error("a Redis Cluster has database 0 only");
  return { primary, db };
}

function parseQuery(mode: RedisAddress["mode"], query: string) {
  const parameters = new URLSearchParams(query);
  const known = mode === "sentinel" ? ["sentinel_username", "sentinel_password"] : [];
  for (const name of parameters.keys()) {
    if (!known.includes(name)) throw new Error("the store URL has an unknown parameter");
  }
  return {
    sentinelUsername: parameters.get("sentinel_username") ?? undefined,
    sentinelPassword: parameters.get("sentinel_password") ?? undefined,
  };
}
