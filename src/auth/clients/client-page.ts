import { LRUCache } from "lru-cache";
import { type BoundedFetch, createBoundedFetch } from "../../net/bounded-fetch.ts";
import { AuthError } from "../errors.ts";

/**
 * Redirect URIs that a client publishes at its client id, for clients that nobody registered. Off unless the operator
 * switches it on, because strangers then make the gateway send requests: only to public addresses over TLS, few at
 * once, without redirects, and for a few seconds.
 */
export interface ClientPages {
  /** Empty for a page that cannot be read. Throws `overloaded`. */
  redirectUris(clientId: string): Promise<readonly string[]>;
}

/** As in Home Assistant: the links have to stand in the first 10 kB, and all of it may take 5 s. */
const maxBytes = 10_240;
const timeoutMs = 5_000;
const mostAtOnce = 8;
const cachedMs = 5 * 60_000;
const maxUris = 64;

/** Never asks anybody. */
export const noClientPages: ClientPages = { redirectUris: async () => [] };

export function createClientPages(
  fetchPage: BoundedFetch = createBoundedFetch({ trustedOrigin: null, maxBytes, timeoutMs, longer: "cut" }),
): ClientPages {
  const cache = new LRUCache<string, readonly string[]>({ max: 1000, ttl: cachedMs });
  let atWork = 0;
  return {
    async redirectUris(clientId) {
      const known = cache.get(clientId);
      if (known !== undefined) return known;
      if (atWork >= mostAtOnce)
        throw new AuthError("overloaded", { detail: "too many pages of clients are read" });
      atWork += 1;
      try {
        const found = await read(fetchPage, clientId);
        cache.set(clientId, found);
        return found;
      } finally {
        atWork -= 1;
      }
    },
  };
}

async function read(fetchPage: BoundedFetch, clientId: string): Promise<readonly string[]> {
  try {
    const answer = await fetchPage(clientId, { headers: { accept: "text/html, application/json" } });
    if (answer.status !== 200) return [];
    const text = await answer.text();
    const isJson = answer.headers.get("content-type")?.includes("json") === true;
    return (isJson ? inDocument(text, clientId) : inPage(text, clientId)).slice(0, maxUris);
  } catch {
    return [];
  }
}

/** OAuth Client ID Metadata Document: the whole of it, at exactly this client id. */
function inDocument(text: string, clientId: string): readonly string[] {
  const document: unknown = JSON.parse(text);
  if (typeof document !== "object" || document === null) return [];
  const { client_id, redirect_uris } = document as Readonly<Record<string, unknown>>;
  if (client_id !== clientId || !Array.isArray(redirect_uris)) return [];
  return redirect_uris.filter((uri): uri is string => typeof uri === "string" && !uri.includes("#"));
}

/** `<link rel="redirect_uri" href="...">` (IndieAuth section 4.2.2). A relative one counts from the client id. */
function inPage(text: string, clientId: string): readonly string[] {
  const links = text.match(/<link\s[^>]{1,2048}>/gi) ?? [];
  return links.flatMap((link) => {
    const attribute = (name: string) =>
      new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, "i")
        .exec(link)
        ?.slice(1)
        .find((value) => value !== undefined);
    const rel = attribute("rel")?.toLowerCase().split(/\s+/) ?? [];
    const href = attribute("href")?.replaceAll("&amp;", "&");
    return rel.includes("redirect_uri") && href !== undefined && URL.canParse(href, clientId)
      ? [new URL(href, clientId).href]
      : [];
  });
}
