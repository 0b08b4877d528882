import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";

import type { FlowStep } from "../../protocol/flow.ts";
import type { Authority } from "../../src/auth/authority.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { FlowAnswer, LoginFlows } from "../../src/auth/login/login-flows.ts";
import type { Principal } from "../../src/auth/model.ts";
import type { Store } from "../../src/auth/store.ts";
import type { Users } from "../../src/auth/users/users.ts";
import { auditLog, createAudit } from "../../src/observability/audit.ts";
import { auditedAuthority } from "../../src/observability/audited-authority.ts";
import { createLog } from "../../src/observability/log.ts";
import { measuredStore } from "../../src/observability/measured-store.ts";
import { counters, gauges, histograms } from "../../src/observability/metric-table.ts";
import { createMetrics } from "../../src/observability/metrics.ts";
import { connectionObserver, httpObserver } from "../../src/observability/observers.ts";
import { createClientOf } from "../../src/server/client-addresses.ts";
import { createGatewayHealth } from "../../src/server/gateway-health.ts";

function watchers(audited = true) {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    level: "debug",
    sink: { write: (line: string) => void lines.push(JSON.parse(line)) },
  });
  const metrics = createMetrics(new Registry());
  return { lines, log, metrics, audit: createAudit(auditLog(log, audited)) };
}
const peer = { address: "198.51.100.7" };
const principal = {
  userId: "u1",
  sessionId: "s1",
  sessionType: "normal",
  clientId: null,
  assurance: 1,
} as Principal;

describe("metrics", () => {
  it("have unique names that say their unit", () => {
    const rows = [...Object.values(counters), ...Object.values(histograms), ...Object.values(gauges)];
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
    for (const { name } of Object.values(counters)) expect(name).toMatch(/^gatehouse_[a-z_]+_total$/);
    for (const { name } of Object.values(histograms)) expect(name).toMatch(/^gatehouse_[a-z_]+_seconds$/);
  });

  it("count what connections, HTTP, revocation and store tell", async () => {
    const { metrics, ...rest } = watchers();
    const sockets = connectionObserver({ metrics, ...rest });
    sockets.upgradeRefused("overloaded", peer.address, undefined);
    sockets.opened("msgpack", peer);
    sockets.authenticated(principal, peer, 3);
    sockets.authRefused("auth_invalid", "forged", peer);
    sockets.answered("ping", "ok");
    sockets.answered(undefined, "unknown_command");
    sockets.lapsed();
    sockets.reviewed(5, 2);
    sockets.closed("session_revoked", 4301, true);
    sockets.closed(undefined, 1006, false);
    metrics.revocation("sessions", "session_revoked", 3);
    metrics.storeCall("commit", 0.01, true);
    metrics.http({ method: "BREW", route: "/", status: 200, durationMs: 5, address: "a" });
    const { body, contentType } = await metrics.render();
    expect(contentType).toContain("text/plain");
    for (const line of [
      'gatehouse_upgrades_refused_total{reason="overloaded"} 1',
      'gatehouse_sockets_opened_total{codec="msgpack"} 1',
      'gatehouse_authentications_total{result="ok"} 1',
      'gatehouse_authentications_total{result="forged"} 1',
      'gatehouse_commands_total{type="ping",outcome="ok"} 1',
      'gatehouse_commands_total{type="unknown",outcome="unknown_command"} 1',
      "gatehouse_suspensions_total 1",
      'gatehouse_sockets_reviewed_total{result="resumed"} 3',
      'gatehouse_sockets_reviewed_total{result="closed"} 2',
      'gatehouse_sockets_closed_total{close="session_revoked",authenticated="true"} 1',
      'gatehouse_sockets_closed_total{close="peer",authenticated="false"} 1',
      'gatehouse_revocations_total{kind="sessions",cause="session_revoked"} 1',
      "gatehouse_sockets_cut_total 3",
      'gatehouse_store_errors_total{operation="commit"} 1',
      'gatehouse_http_requests_total{method="other",route="/",status="200"} 1',
    ])
      expect(body).toContain(line);
    metrics.close();
  });
});

describe("the audit log", () => {
  it("has one record for each decision on a socket", () => {
    const { lines, ...rest } = watchers();
    const sockets = connectionObserver(rest);
    sockets.authenticated(principal, peer, 3);
    sockets.authRefused("auth_invalid", "forged", peer);
    expect(lines).toMatchObject([
      {
        audit: "socket_authentication",
        outcome: "allowed",
        user_id: "u1",
        session_id: "s1",
        address: peer.address,
      },
      { audit: "socket_authentication", outcome: "denied", close: "auth_invalid", reason: "forged" },
    ]);
  });

  it("has one record for each decision over HTTP and each cut-off", () => {
    const { lines, audit, ...rest } = watchers();
    const http = httpObserver({ audit, ...rest });
    const about = { address: peer.address, grant: "refresh_token", clientId: null } as const;
    http.decided({ event: "token_refused", reason: "invalid_grant", ...about });
    http.decided({ event: "token_granted", userId: "u1", sessionId: "s1", ...about });
    audit.cut({ kind: "sessions", userId: "u1", sessionIds: ["s1"], cause: "session_revoked" }, 2);
    audit.cut({ kind: "user", userId: "u1", epoch: 7, except: null, cause: "password_changed" }, 1);
    audit.cut({ kind: "user_changed", userId: "u1", change: "updated" }, 0);
    audit.cut({ kind: "sessions", userId: "u1", sessionIds: ["s0"], cause: "session_revoked" }, 0, true);
    expect(lines).toMatchObject([
      { audit: "token_refused", outcome: "denied", reason: "invalid_grant" },
      { audit: "token_granted", outcome: "allowed", user_id: "u1", session_id: "s1" },
      {
        audit: "revocation",
        target: "sessions",
        session_ids: ["s1"],
        cause: "session_revoked",
        sockets_closed: 2,
      },
      { audit: "revocation", target: "user", user_id: "u1", cause: "password_changed", sockets_closed: 1 },
      { audit: "revocation", session_ids: ["s0"], replayed: true },
    ]);
  });

  it("repeats a client id only where it can name a client: it may be a token that was put in the wrong field", () => {
    const { lines, audit } = watchers();
    const about = { reason: "invalid_client", address: peer.address };
    for (const clientId of [
      "canary ".repeat(9000),
      `ghr_${"canary".repeat(6)}`,
      "https://app.example/",
      null,
    ])
      audit.decided("token", "denied", { ...about, clientId });
    expect(JSON.stringify(lines)).not.toContain("canary");
    expect(lines.map((line) => line.client_id)).toEqual([
      "[no client id]",
      "[no client id]",
      "https://app.example/",
      null,
    ]);
  });

  it("has one record for each step of a login that decides, and none for a form", async () => {
    const { lines, audit } = watchers();
    const step = {
      flow_id: "f1",
      handler: ["homeassistant", null],
      step_id: "init",
      description_placeholders: null,
    };
    const answers = [
      { ...step, type: "form", errors: {}, data_schema: [], last_step: null, preview: null },
      {
        ...step,
        type: "form",
        errors: { base: "invalid_auth" },
        data_schema: [],
        last_step: null,
        preview: null,
      },
      { ...step, type: "abort", reason: "too_many_retry" },
      { ...step, type: "create_entry", description: null, result: "canary" },
    ] as unknown as FlowStep[];
    const logins = {
      advance: async (): Promise<FlowAnswer> => {
        const next = answers.shift();
        if (next === undefined) throw new AuthError("rate_limited", { userId: async () => "u2" });
        return {
          step: next,
          flowSecret: "canary",
          stepNumber: 1,
          purpose: "session",
          endsInMs: 1,
          ...(next.type === "abort" ? {} : { userId: "u1" }),
        };
      },
    } as unknown as LoginFlows;
    const results: string[] = [];
    const onLogin = (result: string) => void results.push(result);
    const audited = auditedAuthority({ logins } as Authority, audit, onLogin).logins;
    const request = { flowId: "f1", flowSecret: "canary", input: { password: "canary" } };
    for (let at = 0; at < 4; at += 1) await audited.advance(request, peer);
    await expect(audited.advance(request, peer)).rejects.toThrow(AuthError);
    expect(lines).toMatchObject([
      {
        audit: "login",
        outcome: "denied",
        reason: "invalid_auth",
        user_id: "u1",
        flow_id: "f1",
        provider: "homeassistant",
      },
      { audit: "login", outcome: "denied", reason: "too_many_retry" },
      { audit: "login", outcome: "allowed", user_id: "u1" },
      { audit: "login", outcome: "denied", reason: "rate_limited", user_id: "u2" },
    ]);
    expect(results).toEqual(["invalid_auth", "too_many_retry", "ok", "rate_limited"]);
    expect(JSON.stringify(lines)).not.toContain("canary");
  });

  it("names who asked for a change, whatever came of it, and takes what a command has decided from the log", async () => {
    const { lines, audit } = watchers();
    const users = {
      update: async (userId: string) => {
        if (userId === "u2") throw new AuthError("cannot_deactivate_owner");
        return { id: userId };
      },
    } as unknown as Users;
    const actor = { via: "socket", userId: "u9", sessionId: "s9", address: "192.0.2.7" } as const;
    const asked = auditedAuthority({ users } as Authority, audit).as(actor).users;
    await asked.update("u1", { localOnly: true, name: "canary" });
    await expect(asked.update("u2", { isActive: false })).rejects.toThrow(AuthError);
    audit.cut({ kind: "audited", record: { audit: "user_removal", via: "command_line", user_id: "u3" } }, 0);
    const by = { via: "socket", actor_id: "u9", actor_session_id: "s9", address: "192.0.2.7" };
    expect(lines).toMatchObject([
      { audit: "user_change", outcome: "allowed", ...by, user_id: "u1", local_only: true },
      { audit: "user_change", outcome: "denied", ...by, user_id: "u2", reason: "cannot_deactivate_owner" },
      { audit: "user_removal", via: "command_line", user_id: "u3" },
    ]);
    expect(JSON.stringify(lines)).not.toContain("canary");
  });

  it("can be switched off", () => {
    const { lines, ...rest } = watchers(false);
    connectionObserver(rest).authenticated(principal, peer, 3);
    expect(lines).toEqual([]);
  });
});

describe("what upgrades report", () => {
  it("names a refused origin and the options that let it in, once an origin", () => {
    const { lines, ...rest } = watchers();
    const sockets = connectionObserver(rest);
    for (let at = 0; at < 3; at += 1)
      sockets.upgradeRefused("invalid_origin", peer.address, "https://app.example");
    sockets.upgradeRefused("overloaded", peer.address, "https://other.example");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: "warn", origin: "https://app.example" });
    expect(lines[0]?.msg).toMatch(/\borigins\b.*\bpublic_url\b/);
  });
});

describe("what HTTP reports", () => {
  it("warns once a TCP peer about proxy headers that are not believed, and not without end", () => {
    const { lines, ...rest } = watchers();
    const clientOf = createClientOf({ ...rest, config: { trusted_proxies: ["10.0.0.99"] } });
    const headers: Record<string, string> = { "x-forwarded-for": "unknown" };
    const from = (peer: string) => clientOf(peer, (name: string) => headers[name]);
    expect(from("10.0.0.99").address).toBeNull();
    for (let at = 0; at < 100; at += 1) expect(from(`10.0.0.${at}`).address).toBeNull();
    expect(lines).toHaveLength(16);
    expect(lines[0]).toMatchObject({ level: "warn", proxy_address: "10.0.0.99" });
    expect(lines[1]).toMatchObject({ level: "warn", proxy_address: "10.0.0.0" });
    expect(lines[0]?.msg).not.toBe(lines[1]?.msg);
  });

  it("warns about failures and whispers about the rest", () => {
    const { lines, ...rest } = watchers();
    const http = httpObserver(rest);
    const answer = { method: "GET", route: "/", durationMs: 1, address: "a" };
    http.answered({ ...answer, status: 200 });
    http.answered({ ...answer, status: 503, code: "unavailable", detail: "redis is away" });
    http.defect(new Error("x"), "/auth/token");
    expect(lines).toMatchObject([
      { level: "debug" },
      { level: "warn" },
      { level: "error", route: "/auth/token" },
    ]);
  });
});

describe("health", () => {
  const live = { version: "1", transport: "ws", store: "redis", codecs: [] };
  it("goes from starting over serving to draining and never back", async () => {
    const store = { health: async () => ({ ok: true, latencyMs: 1, detail: "" }) } as unknown as Store;
    const health = createGatewayHealth({ live, store, revocationTrusted: () => true });
    expect(await health.ready()).toEqual({ ready: false, reasons: ["starting"] });
    health.enter("serving");
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
    health.enter("draining");
    health.enter("serving");
    expect(await health.ready()).toEqual({ ready: false, reasons: ["draining"] });
  });

  it("names a store that is away and a log that is not followed, at one look a second", async () => {
    let looks = 0;
    const store = {
      health: async () => {
        looks += 1;
        throw new AuthError("unavailable");
      },
    } as unknown as Store;
    const health = createGatewayHealth({ live, store, revocationTrusted: () => false });
    health.enter("serving");
    const reports = await Promise.all(Array.from({ length: 50 }, () => health.ready()));
    for (const report of reports)
      expect(report).toEqual({ ready: false, reasons: ["store_unavailable", "revocation_not_followed"] });
    expect(looks).toBe(1);
    expect(await health.storeUp()).toBe(false);
  });
});

it("a measured store tells of every call and changes none", async () => {
  const calls: [string, boolean][] = [];
  const inner = {
    kind: "redis",
    get: async () => [undefined],
    commit: async () => {
      throw new AuthError("unavailable");
    },
  } as unknown as Store;
  const store = measuredStore(inner, (operation, seconds, failed) => {
    expect(seconds).toBeGreaterThanOrEqual(0);
    calls.push([operation, failed]);
  });
  expect(await store.get([])).toEqual([undefined]);
  await expect(store.commit({})).rejects.toThrow(AuthError);
  expect(calls).toEqual([
    ["get", false],
    ["commit", true],
  ]);
  expect(store.kind).toBe("redis");
});
