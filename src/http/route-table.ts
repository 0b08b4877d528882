import { METHOD_NAME_ALL } from "hono/router";
import { TrieRouter } from "hono/router/trie-router";
import { tryDecodeURI, tryDecodeURIComponent } from "hono/utils/url";
import type { Exchange } from "./exchange.ts";
import type { Route } from "./routes.ts";

/** The rows of one path, and among them the one whose method was asked for. */
export interface Match {
  readonly path: string;
  readonly rows: readonly Route[];
  readonly route: Route | undefined;
  readonly parameters: Exchange["parameters"];
}

/** Finds the route of a method and of a path as it was sent. Undefined: no row has this path. HEAD is answered as GET. */
export type RouteTable = (method: string, path: string) => Match | undefined;

/** Throws for two routes of one method and path: the second would never be asked. */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  refuseSamePaths(routes);
  const router = new TrieRouter<Omit<Match, "parameters">>();
  const rowsOf = (path: string) => routes.filter((route) => route.path === path);
  for (const route of routes) {
    const { method, path } = route;
    router.add(method, path, { path, rows: rowsOf(path), route });
  }
  for (const path of new Set(routes.map((route) => route.path)))
    router.add(METHOD_NAME_ALL, path, { path, rows: rowsOf(path), route: undefined });
  return (method, path) => {
    const [[first] = []] = router.match(method === "HEAD" ? "GET" : method, decodedPath(path));
    if (first === undefined) return undefined;
    const [found, parameters] = first;
    return { ...found, parameters: decodedParameters(parameters) };
  };
}

/** What is percent-encoded needlessly is the same path (RFC 3986 section 6.2.2.2). `%25` and `%2F` stay. */
function decodedPath(path: string): string {
  return path.includes("%") ? tryDecodeURI(path.replaceAll("%25", "%2525")) : path;
}

function decodedParameters(raw: Readonly<Record<string, unknown>>): Exchange["parameters"] {
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => [name, tryDecodeURIComponent(String(value))]),
  );
}

function refuseSamePaths(routes: readonly Route[]): void {
  const seen = new Set<string>();
  for (const { method, path } of routes) {
    if (seen.has(`${method} ${path}`)) throw new Error(`there are two routes ${method} ${path}`);
    seen.add(`${method} ${path}`);
  }
}
