import { LRUCache } from "lru-cache";
import { type BoundedFetch, createBoundedFetch } from "../../net/bounded-fetch.ts";
import { AuthError } from "../errors.ts";
import { linksIn } from "./page-links.ts";

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
        if (found === undefined) return [];
        cache.set(clientId, found);
        return found;
      } finally {
        atWork -= 1;
      }
    },
  };
}

/** Undefined if there was no answer to read: the next request asks again. */
async function read(fetchPage: BoundedFetch, clientId: string): Promise<readonly string[] | undefined> {
  const answer = await answerOf(fetchPage, clientId);
  return answer?.status === 200 ? urisIn(answer, clientId).slice(0, maxUris) : undefined;
}

interface PageAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function answerOf(fetchPage: BoundedFetch, clientId: string): Promise<PageAnswer | undefined> {
  try {
    const answer = await fetchPage(clientId, { headers: { accept: "text/html, application/json" } });
    const type = (answer.headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
    return { status: answer.status, type, text: await answer.text() };
  } catch {
    return undefined;
  }
}

/** Bodies of other types, such as what people upload, say nothing of the client. */
function urisIn({ type, text }: PageAnswer, clientId: string): readonly string[] {
  if (type === "text/html") return inPage(text, clientId);
  return /^application\/(?:[^\s]+\+)?json$/.test(type) ? inDocument(text, clientId) : [];
}

/** OAuth Client ID Metadata Document: the whole of it, at exactly this client id. */
function inDocument(text: string, clientId: string): readonly string[] {
  const document = parsed(text);
  if (typeof document !== "object" || document === null) return [];
  const { client_id, redirect_uris } = document as Readonly<Record<string, unknown>>;
  if (client_id !== clientId || !Array.isArray(redirect_uris)) return [];
  return redirect_uris.filter((uri): uri is string => typeof uri === "string" && !uri.includes("#"));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `<link rel="redirect_uri" href="...">` (IndieAuth section 4.2.2). A relative one counts from the client id. */
function inPage(text: string, clientId: string): readonly string[] {
  return linksIn(text).flatMap((link) => {
    const rel = link.get("rel")?.toLowerCase().split(/\s+/) ?? [];
    const href = link.get("href")?.replaceAll("&amp;", "&");
    return rel.includes("redirect_uri") && href !== undefined && URL.canParse(href, clientId)
      ? [new URL(href, clientId).href]
      : [];
  });
}
