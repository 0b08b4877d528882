import { SOCKET_PATH } from "../../protocol/features.ts";
import type { Authority } from "../auth/authority.ts";
import type { Clock } from "../auth/clock/clock.ts";
import type { Topics } from "../topics/topics.ts";
import type { ErrorStyle } from "./answers.ts";
import type { DecodeJson } from "./body.ts";
import type { CorsRule } from "./cors.ts";
import { apiProbeEndpoint } from "./endpoints/api-probe.ts";
import { authorizeEndpoint } from "./endpoints/authorize.ts";
import { deviceEndpoint } from "./endpoints/device.ts";
import { deviceAuthorizationEndpoint } from "./endpoints/device-authorization.ts";
import { liveEndpoint, readyEndpoint } from "./endpoints/health.ts";
import { introspectEndpoint } from "./endpoints/introspect.ts";
import { jwksEndpoint } from "./endpoints/jwks.ts";
import { landingEndpoint } from "./endpoints/landing.ts";
import { linkUserEndpoint } from "./endpoints/link-user.ts";
import { cancelFlowEndpoint, flowStepEndpoint, startFlowEndpoint } from "./endpoints/login-flow.ts";
import { metadataEndpoint } from "./endpoints/metadata.ts";
import { type MetricsSource, metricsEndpoint } from "./endpoints/metrics.ts";
import { oidcCallbackEndpoint, oidcConfirmEndpoint, oidcStartEndpoint } from "./endpoints/oidc-login.ts";
import { oidcLogoutEndpoint } from "./endpoints/oidc-logout.ts";
import { createOwnerEndpoint, onboardingEndpoint } from "./endpoints/onboarding.ts";
import { providersEndpoint } from "./endpoints/providers.ts";
import { fireEventEndpoint, publishEndpoint } from "./endpoints/publish.ts";
import { pushedRequestEndpoint } from "./endpoints/pushed-request.ts";
import { revokeEndpoint } from "./endpoints/revoke.ts";
import { socketPathEndpoint } from "./endpoints/socket-path.ts";
import { tokenEndpoint } from "./endpoints/token.ts";
import { userinfoEndpoint } from "./endpoints/userinfo.ts";
import type { Endpoint } from "./exchange.ts";
import type { Health } from "./health.ts";
import { pageContext } from "./html-page.ts";
import type { HttpObserver } from "./observer.ts";
import { type PageFile, pageEndpoint } from "./pages.ts";
import { setupPage } from "./setup-page.ts";

export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** `:name` stands for one part of a path, which is not empty: see `Exchange.parameters`. */
  readonly path: string;
  /** Which other origins may read the answer. */
  readonly cors: CorsRule;
  readonly errors: ErrorStyle;
  readonly endpoint: Endpoint;
}

export interface RouteOptions {
  readonly authority: Authority;
  readonly clock: Clock;
  readonly observer: HttpObserver;
  readonly health: Health;
  /** Undefined: there is no `/metrics`. */
  readonly metrics: MetricsSource | undefined;
  readonly pages: readonly PageFile[];
  /** Routes beside these, for instance of a program that embeds the gateway. */
  readonly moreRoutes?: readonly Route[] | undefined;
  readonly issuer: () => string;
  /** How clients reach the gateway; without a trailing slash. */
  readonly publicUrl: () => string;
  readonly maxBodyBytes: number;
  readonly topics: Pick<Topics, "publishAs" | "fireAs">;
  readonly decodeJson: DecodeJson;
  /** Seconds; less than a signing key is published before it signs. */
  readonly jwksMaxAgeSeconds: number;
  /** Whether a session that this client opens rotates its refresh token. */
  readonly rotates: (clientId: string) => boolean;
}

/**
 * Everything that HTTP answers; a path that stands earlier hides a later one that matches too. An endpoint that needs
 * authentication asks for it itself.
 */
export function routesOf(options: RouteOptions): readonly Route[] {
  const { authority, health, metrics, publicUrl, pages, moreRoutes = [] } = options;
  const oauth = (path: string, endpoint: Endpoint): Route => {
    return { method: "POST", path, cors: "any", errors: "oauth", endpoint };
  };
  const get = (path: string, cors: CorsRule, endpoint: Endpoint): Route => {
    return { method: "GET", path, cors, errors: "message", endpoint };
  };
  const post = (path: string, endpoint: Endpoint): Route => {
    return { method: "POST", path, cors: "none", errors: "message", endpoint };
  };
  const login = (method: Route["method"], path: string, endpoint: Endpoint): Route => {
    return { method, path, cors: "configured", errors: "message", endpoint };
  };
  const page = (method: "GET" | "POST", path: string, endpoint: Endpoint): Route => {
    return { method, path, cors: "none", errors: "page", endpoint };
  };
  const fromProvider = (path: string): Route => {
    return { method: "POST", path, cors: "none", errors: "oauth", endpoint: oidcLogoutEndpoint(options) };
  };
  return [
    page("GET", "/auth/authorize", authorizeEndpoint(options)),
    oauth("/auth/token", tokenEndpoint(options)),
    oauth("/auth/par", pushedRequestEndpoint(options)),
    oauth("/auth/device_authorization", deviceAuthorizationEndpoint(options)),
    get("/auth/userinfo", "any", userinfoEndpoint(authority)),
    { ...get("/auth/userinfo", "any", userinfoEndpoint(authority)), method: "POST" },
    oauth("/auth/revoke", revokeEndpoint(options)),
    post("/auth/introspect", introspectEndpoint(options)),
    get("/auth/providers", "configured", providersEndpoint(authority)),
    login("POST", "/auth/login_flow", startFlowEndpoint(options)),
    login("POST", "/auth/login_flow/:id", flowStepEndpoint(options)),
    login("DELETE", "/auth/login_flow/:id", cancelFlowEndpoint(options)),
    login("POST", "/auth/link_user", linkUserEndpoint(options)),
    get("/.well-known/oauth-authorization-server", "any", metadataEndpoint(options)),
    get("/.well-known/openid-configuration", "any", metadataEndpoint(options)),
    ...underPath(options).map((path) => get(path, "any", metadataEndpoint(options))),
    get("/.well-known/jwks.json", "any", jwksEndpoint(authority, options.jwksMaxAgeSeconds)),

    page("GET", "/auth/oidc/start/:ticket", oidcStartEndpoint(options)),
    page("GET", "/auth/oidc/callback", oidcCallbackEndpoint(options)),
    page("GET", "/auth/oidc/callback/:provider", oidcCallbackEndpoint(options)),
    page("POST", "/auth/oidc/confirm", oidcConfirmEndpoint(options)),
    fromProvider("/auth/oidc/backchannel-logout"),
    fromProvider("/auth/oidc/backchannel-logout/:provider"),

    get("/api/", "configured", apiProbeEndpoint(authority)),
    get(SOCKET_PATH, "none", socketPathEndpoint()),
    get("/api/onboarding", "none", onboardingEndpoint(authority)),
    post("/api/onboarding/users", createOwnerEndpoint(options)),
    login("POST", "/api/gatehouse/topics/publish", publishEndpoint(options)),
    login("POST", "/api/events/:event_type", fireEventEndpoint(options)),

    get("/", "none", landingEndpoint(publicUrl)),
    page("GET", "/setup", ({ request }) => setupPage(pageContext(request))),
    page("GET", "/device", deviceEndpoint(options)),
    ...pages.map((file) => get(file.path, file.cors, pageEndpoint(file))),

    get("/healthz", "none", liveEndpoint(health)),
    get("/readyz", "none", readyEndpoint(health)),
    ...(metrics === undefined ? [] : [get("/metrics", "none", metricsEndpoint(metrics))]),
    ...moreRoutes,
  ];
}

/**
 * The metadata of an issuer with a path is at the root of its host (RFC 8414 section 3.1), where the proxy passes it on
 * as it is.
 */
function underPath({ issuer }: Pick<RouteOptions, "issuer">): readonly string[] {
  const path = URL.canParse(issuer()) ? new URL(issuer()).pathname.replace(/\/$/, "") : "";
  if (!/^(?:\/[A-Za-z0-9._~-]+)+$/.test(path)) return [];
  return ["oauth-authorization-server", "openid-configuration"].map((name) => `/.well-known/${name}${path}`);
}
