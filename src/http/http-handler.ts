import { AuthError } from "../auth/errors.ts";
import { addressShare } from "../net/address-share.ts";
import type { ClientAddress, HeaderLookup } from "../net/client-address.ts";
import type { LoopBudget } from "../net/loop-budget.ts";
import { createPageTrust } from "../net/origin.ts";
import { answerError, type ErrorStyle } from "./answers.ts";
import { type Cors, createCors } from "./cors.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "./endpoint.ts";
import type { Exchange } from "./exchange.ts";
import type { HttpObserver } from "./observer.ts";
import { createRouteTable, type Match } from "./route-table.ts";
import { type Route, type RouteOptions, routesOf } from "./routes.ts";
import { secure } from "./security-headers.ts";
import { refuseTokenInUrl } from "./token-in-url.ts";

export interface HttpOptions extends RouteOptions {
  /** Origins that may read the answers of routes with the rule `configured`. `*`: all. */
  readonly origins: readonly string[];
  /** The gateway's own web origin, if it is configured. */
  readonly ownOrigin?: string | undefined;
  /** The client of a request, from its TCP peer and its headers. */
  readonly clientOf: (peerAddress: string, header: HeaderLookup) => ClientAddress;
  readonly loopBudget: LoopBudget;
}

/** A request on its way; `outcome` is filled there, for the log. */
interface Asked {
  readonly exchange: Omit<Exchange, "parameters">;
  readonly outcome: { route: string; code?: string; detail?: string };
}

/**
 * All HTTP of the gateway as one function. Every answer has the security headers. A path that is not in the route
 * table is 404. A method that its rows do not have is 405.
 */
export function createHttpHandler(options: HttpOptions): HttpHandler {
  const { observer, clock, clientOf } = options;
  const find = createRouteTable(routesOf(options));
  const pageTrusted = createPageTrust(options.origins, options.ownOrigin);
  const answers = new Answers(createCors(options.origins), observer);
  return async (request, { address, client: known }) => {
    const began = clock.monotonic();
    const client = known ?? clientOf(address, (name) => request.headers.get(name));
    const isKnown = pageTrusted(request.headers.get("origin"), request.headers.get("host"));
    const peer = { address: client.address, ...(isKnown ? {} : { byUnknownPage: true as const }) };
    const exchange = { request, client, peer, timed: timedFor(options, client) };
    const outcome: Asked["outcome"] = { route: "none" };
    const match = find(request.method, request.url.pathname);
    const response = secure(await answers.answer({ exchange, outcome }, match));
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

class Answers {
  readonly #cors: Cors;
  readonly #observer: HttpObserver;

  constructor(cors: Cors, observer: HttpObserver) {
    this.#cors = cors;
    this.#observer = observer;
  }

  async answer(asked: Asked, match: Match | undefined): Promise<HttpResponse> {
    const { exchange, outcome } = asked;
    if (match === undefined) return this.#fail(asked, new AuthError("not_found"));
    const { route, rows, parameters } = match;
    outcome.route = match.path;
    if (route === undefined) return this.#otherMethod(asked, rows);
    try {
      refuseTokenInUrl(exchange.request.url);
      const response = await route.endpoint({ ...exchange, parameters });
      return this.#cors.allow(exchange.request, response, route.cors);
    } catch (error) {
      return this.#fail(asked, error, route);
    }
  }

  #otherMethod(asked: Asked, rows: readonly Route[]): HttpResponse {
    const { request } = asked.exchange;
    const methods = methodsOf(rows);
    if (request.method === "OPTIONS" && methods.includes("OPTIONS"))
      return this.#cors.preflight(request, rows[0]?.cors ?? "none", methods);
    const response = this.#fail(asked, new AuthError("method_not_allowed"), rows[0]);
    return { ...response, headers: { ...response.headers, allow: methods.join(", ") } };
  }

  #fail({ exchange, outcome }: Asked, error: unknown, route?: Route): HttpResponse {
    const { request } = exchange;
    const { response, code, detail, defect } = answerError(error, styleFor(request, route), request);
    Object.assign(outcome, detail === undefined ? { code } : { code, detail });
    if (defect) this.#observer.defect(error, outcome.route);
    return route === undefined ? response : this.#cors.allow(request, response, route.cors);
  }
}

/** Where nothing is, a browser that was led there by its address bar or a link gets a page. */
function styleFor({ headers }: HttpRequest, route: Route | undefined): ErrorStyle {
  if (route !== undefined) return route.errors;
  return /\btext\/html\b/.test(headers.get("accept") ?? "") ? "page" : "message";
}

/** GET implies HEAD. OPTIONS is allowed on paths that other origins may use. */
function methodsOf(rows: readonly Route[]): string[] {
  const methods = rows.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  return rows.some(({ cors }) => cors !== "none") ? [...methods, "OPTIONS"] : methods;
}
