import type { Authority } from "../../src/auth/authority.ts";
import { noClientPages } from "../../src/auth/clients/client-page.ts";
import type { Clock } from "../../src/auth/clock/clock.ts";
import { AuthError } from "../../src/auth/errors.ts";
import { createJsonCodec } from "../../src/codec/json.ts";
import { createHttpHandler, type HttpOptions } from "../../src/http/http-handler.ts";
import type { HttpAnswered, HttpDecision } from "../../src/http/observer.ts";
import { pageFile } from "../../src/http/pages.ts";
import { unlimitedLoopBudget } from "../../src/net/loop-budget.ts";
import { createMemoryTransport } from "../../src/transport/memory.ts";

export const issuer = "https://auth.example";
export const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

type Scripted = { readonly [Part in keyof Authority]?: Partial<Authority[Part]> };

/** Nobody has registered a client, and no second factor is demanded of anybody. */
const noClients: Scripted = {
  assurance: {
    demandOn: async () => ({ level: 1, byGroup: false, enrolments: { all: [], version: 0 }, checks: [] }),
  },
  clients: { find: async () => undefined },
  clientAuthentication: {
    async authenticate({ kind }) {
      throw new AuthError(kind === "none" ? "invalid_client" : "invalid_client_authentication");
    },
  },
  clientPages: noClientPages,
  pushedRequests: {
    async read() {
      throw new AuthError("invalid_request_uri");
    },
  },
};

/** An Authority that knows what the test scripts; anything else that is used of it throws, as a defect would. */
export function scriptedAuthority(script: Scripted): Authority {
  const unscripted = (name: string, known: object = {}): object =>
    new Proxy(known, {
      get(target, key) {
        if (Reflect.has(target, key)) return Reflect.get(target, key);
        if (typeof key === "symbol") return undefined;
        throw new Error(`not scripted: ${name}.${key}`);
      },
    });
  const parts = Object.fromEntries(
    Object.entries({ ...noClients, ...script }).map(([name, part]) => [name, unscripted(name, part)]),
  );
  return unscripted("authority", parts) as Authority;
}

/** Topics to which nobody publishes. */
export const noTopics: Pick<HttpOptions, "topics" | "decodeJson"> = {
  topics: {
    publishAs: () => Promise.reject(new AuthError("unavailable")),
    fireAs: () => Promise.reject(new AuthError("unavailable")),
  },
  decodeJson: createJsonCodec().decode,
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
}

export interface HttpUnderTest {
  /** Sends to the endpoints as a transport would. */
  ask(
    path: string,
    init?: RequestInit & { readonly from?: string; readonly duplex?: "half" },
  ): Promise<Answer>;
  readonly answered: HttpAnswered[];
  readonly decisions: HttpDecision[];
  readonly defects: unknown[];
}

export function httpUnderTest(authority: Authority, overrides: Partial<HttpOptions> = {}): HttpUnderTest {
  const seen = {
    answered: [] as HttpAnswered[],
    decisions: [] as HttpDecision[],
    defects: [] as unknown[],
  };
  const http = createHttpHandler({
    authority,
    clock,
    observer: {
      answered: (answer) => seen.answered.push(answer),
      decided: (decision) => seen.decisions.push(decision),
      defect: (error) => seen.defects.push(error),
    },
    health: {
      live: () => ({ version: "0.1.0", transport: "memory", store: "embedded", codecs: ["json", "msgpack"] }),
      ready: async () => ({ ready: true, reasons: [] }),
    },
    metrics: undefined,
    pages: [
      pageFile("console.html", "<!doctype html>"),
      pageFile("page.css", "body {}"),
      pageFile("setup.js", "export {};"),
    ],
    issuer: () => issuer,
    publicUrl: () => issuer,
    maxBodyBytes: 65_536,
    jwksMaxAgeSeconds: 300,
    rotates: () => false,
    ...noTopics,
    origins: ["https://app.example"],
    loopBudget: unlimitedLoopBudget(),
    clientOf: (address) => ({ address, forwarding: "none" }),
    ...overrides,
  });
  const transport = createMemoryTransport({ onError: (error) => seen.defects.push(error) });
  const listener = transport.listen({
    host: "memory",
    port: 0,
    socketPath: "/none",
    checkUpgrade: () => ({ accept: false, status: 404, headers: {}, body: "" }),
    http,
    maxMessageBytes: 0,
    maxBodyBytes: 100_000,
  });
  return {
    ...seen,
    async ask(path, { from = "198.51.100.7", ...init } = {}) {
      await listener;
      const response = await transport.fetch(new Request(`${issuer}${path}`, init), { address: from });
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, body: parsed(text) };
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A POST of a form, as Android (urlencoded) or the JavaScript client (multipart) sends it. */
export function post(
  fields: Readonly<Record<string, string>>,
  encoding: "urlencoded" | "multipart",
): RequestInit {
  if (encoding === "urlencoded") return { method: "POST", body: new URLSearchParams(fields) };
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return { method: "POST", body: form };
}
