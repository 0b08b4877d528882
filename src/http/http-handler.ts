import { type Context, Hono } from "hono";

import { AuthError } from "../auth/errors.ts";
import { addressShare } from "../net/address-share.ts";
import type { ClientAddress, HeaderLookup } from "../net/client-address.ts";
import type { LoopBudget } from "../net/loop-budget.ts";
import { answerError, type ErrorStyle } from "./answers.ts";
import { createCors } from "./cors.ts";
import type { HttpHandler } from "./endpoint.ts";
import type { Exchange } from "./exchange.ts";
import { type Route, type RouteOptions, routesOf } from "./routes.ts";
import { secure } from "./security-headers.ts";
import { refuseTokenInUrl } from "./token-in-url.ts";

export interface HttpOptions extends RouteOptions {
  /** Origins that may read the answers of routes with the rule `configured`. `*`: all. */
  readonly origins: readonly string[];
  /** The client of a request, from its TCP peer and its headers. */
  readonly clientOf: (peerAddress: string, header: HeaderLookup) => ClientAddress;
  readonly loopBudget: LoopBudget;
}

/** What a request takes along beside itself; `outcome` is filled on the way, for the log. */
interface Surroundings {
  readonly exchange: Omit<Exchange, "parameters">;
  readonly outcome: { route: string; code?: string; detail?: string };
}

type App = Hono<{ Bindings: Surroundings }>;
type AppContext = Context<{ Bindings: Surroundings }>;

/**
 * All HTTP of the gateway as one function. Every answer has the security headers. A path that is not in the route
 * table is 404. A method that its rows do not have is 405.
 */
export function createHttpHandler(options: HttpOptions): HttpHandler {
  const { observer, clock, clientOf } = options;
  const app = createApp(options);
  return async (request, { address, client: known }) => {
    const began = clock.monotonic();
    const client = known ?? clientOf(address, (name) => request.headers.get(name));
    const timed = timedFor(options, client);
    const exchange = { request, url: new URL(request.url), client, peer: { address: client.address }, timed };
    const outcome: Surroundings["outcome"] = { route: "none" };
    const response = secure(await app.fetch(request, { exchange, outcome }));
    observer.answered({
      ...outcome,
      method: request.method,
      status: response.status,
      durationMs: clock.monotonic() - began,
      address: client.address,
    });
    return response;
  };
}

/** Charges the address with the time of work that waits for nothing but the request's body, which is there. */
function timedFor({ clock, loopBudget }: HttpOptions, { address }: ClientAddress): Exchange["timed"] {
  return async (work) => {
    const began = clock.monotonic();
    try {
      return await work();
    } finally {
      loopBudget.charge(addressShare(address), clock.monotonic() - began);
    }
  };
}

function createApp(options: HttpOptions): App {
  const app: App = new Hono({ strict: true });
  const cors = createCors(options.origins);

  const fail = (context: AppContext, error: unknown, route?: Route): Response => {
    const { exchange, outcome } = context.env;
    const { response, code, detail, defect } = answerError(
      error,
      styleFor(exchange.request, route),
      exchange.request,
    );
    Object.assign(outcome, detail === undefined ? { code } : { code, detail });
    if (defect) options.observer.defect(error, outcome.route);
    return route === undefined ? response : cors.allow(exchange.request, response, route.cors);
  };
  const answer = async (context: AppContext, route: Route): Promise<Response> => {
    const { exchange, outcome } = context.env;
    outcome.route = route.path;
    try {
      refuseTokenInUrl(exchange.url);
      const parameters = context.req.param();
      return cors.allow(exchange.request, await route.endpoint({ ...exchange, parameters }), route.cors);
    } catch (error) {
      return fail(context, error, route);
    }
  };
  const answerOther = (context: AppContext, rows: readonly Route[]): Response => {
    const { exchange, outcome } = context.env;
    const [first] = rows;
    if (first !== undefined) outcome.route = first.path;
    const methods = methodsOf(rows);
    if (exchange.request.method === "OPTIONS" && methods.includes("OPTIONS"))
      return cors.preflight(exchange.request, first?.cors ?? "none", methods);
    const response = fail(context, new AuthError("method_not_allowed"), first);
    response.headers.set("allow", methods.join(", "));
    return response;
  };

  const routes = routesOf(options);
  refuseSamePaths(routes);
  for (const route of routes) app.on(route.method, route.path, (context) => answer(context, route));
  for (const path of new Set(routes.map((route) => route.path))) {
    const rows = routes.filter((route) => route.path === path);
    app.all(path, (context) => answerOther(context, rows));
  }
  app.notFound((context) => fail(context, new AuthError("not_found")));
  app.onError((error, context) => fail(context, error));
  return app;
}

/** Where nothing is, a browser that was led there by its address bar or a link gets a page. */
function styleFor({ headers }: Request, route: Route | undefined): ErrorStyle {
  if (route !== undefined) return route.errors;
  return /\btext\/html\b/.test(headers.get("accept") ?? "") ? "page" : "message";
}

/** Throws for two routes of one method and path: the second would never be asked. */
function refuseSamePaths(routes: readonly Route[]): void {
  const seen = new Set<string>();
  for (const { method, path } of routes) {
    if (seen.has(`${method} ${path}`)) throw new Error(`there are two routes ${method} ${path}`);
    seen.add(`${method} ${path}`);
  }
}

/** GET implies HEAD. OPTIONS is allowed on paths that other origins may use. */
function methodsOf(rows: readonly Route[]): string[] {
  const methods = rows.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  return rows.some(({ cors }) => cors !== "none") ? [...methods, "OPTIONS"] : methods;
}
