import type { LiveConnection } from "../../presence/presence-directory.ts";

/** Short keys: the list holds one entry for each connection. */
export function wireOf({ id, userId, sessionId, clientId, node, address, since }: LiveConnection) {
  return { i: id, u: userId, s: sessionId, c: clientId, n: node, a: address, t: since };
}

function connectionIn(value: unknown): LiveConnection | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { i, u, s, c, n, a, t } = value as Readonly<Record<string, unknown>>;
  const isText = (...texts: readonly unknown[]) => texts.every((text) => typeof text === "string");
  if (!isText(i, u, s, n) || typeof t !== "number") return undefined;
  return {
    id: String(i),
    userId: String(u),
    sessionId: String(s),
    clientId: typeof c === "string" ? c : null,
    node: String(n),
    address: typeof a === "string" ? a : null,
    since: t,
  };
}

export function connectionsIn(value: unknown): readonly LiveConnection[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each) => connectionIn(each) ?? []);
}

/** An entry of the list: `ID PART JSON`. Parts are explained in `RedisPresenceDirectory`. */
export function entryOf(connection: LiveConnection, part: string): string {
  return `${connection.id} ${part} ${JSON.stringify(wireOf(connection))}`;
}

/** Undefined if it is no entry. */
export function parseEntry(
  member: string,
): { readonly part: string; readonly connection: LiveConnection } | undefined {
  const [id, part] = member.split(" ", 2);
  if (id === undefined || part === undefined) return undefined;
  try {
    const connection = connectionIn(JSON.parse(member.slice(id.length + part.length + 2)));
    return connection && { part, connection };
  } catch {
    return undefined;
  }
}
