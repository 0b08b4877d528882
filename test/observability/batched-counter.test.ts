import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";

import type { Principal } from "../../src/auth/model.ts";
import { createMetrics } from "../../src/observability/metrics.ts";

const peer = { address: "127.0.0.1" };
const principal: Principal = {
  userId: "u",
  sessionId: "s",
  epoch: 0,
  keyId: "key",
  sessionType: "normal",
  clientId: null,
  assurance: 1,
  amr: [],
  authenticatedAt: 0,
  tokenIssuedAt: 0,
  tokenExpiresAt: 0,
  sessionExpiresAt: null,
  localOnly: false,
  judgedBy: null,
  scope: null,
  policy: null,
  isForOtherAudience: false,
};

function lineOf(body: string, start: string): string | undefined {
  return body.split("\n").find((line) => line.startsWith(start));
}

describe("what is counted on every socket", () => {
  it("is all there whenever somebody reads, once, and however much came in between", async () => {
    const { connections, render, close } = createMetrics(new Registry());
    // Before, at and after the number of durations that are kept until they are handed on.
    for (const more of [1, 126, 1, 1, 300, 0]) {
      for (let nth = 0; nth < more; nth += 1) {
        connections.opened("json", peer);
        connections.authenticated(principal, peer, 2);
        connections.closed(undefined, 1006, true);
      }
      connections.closed("auth_timeout", 3000, false);
      connections.authRefused("auth_timeout", "auth_timeout", peer);
      await render();
    }
    const { body } = await render();
    expect(lineOf(body, "gatehouse_sockets_opened_total")).toBe(
      'gatehouse_sockets_opened_total{codec="json"} 429',
    );
    expect(lineOf(body, 'gatehouse_authentications_total{result="ok"}')).toMatch(/ 429$/);
    expect(lineOf(body, 'gatehouse_authentications_total{result="auth_timeout"}')).toMatch(/ 6$/);
    expect(lineOf(body, 'gatehouse_sockets_closed_total{close="peer",authenticated="true"}')).toMatch(
      / 429$/,
    );
    expect(
      lineOf(body, 'gatehouse_sockets_closed_total{close="auth_timeout",authenticated="false"}'),
    ).toMatch(/ 6$/);
    expect(lineOf(body, "gatehouse_authentication_seconds_count")).toMatch(/ 429$/);
    close();
  });
});
