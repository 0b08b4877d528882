import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { defineConfig } from "../../src/server/config/load.ts";
import { agreeOnIssuer, IssuerError, issuerForCommands } from "../../src/server/issuer.ts";
import { loadTransport } from "../../src/server/transports.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { type OpenStore, openStore } from "../auth/tokens/installation.ts";
import { type RunningGateway, startNode } from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";

const here = "https://a.example";
const there = "https://b.example";

describe("nodes of one installation", () => {
  let redis: RedisServer;
  const running: Pick<RunningGateway, "stop">[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => {
    for (const node of running) await node.stop();
    await redis?.dispose();
  });
  let listened = 0;
  const start = async (issuer: string) => {
    const ws = await loadTransport("ws", () => undefined);
    const listen: Transport["listen"] = (options) => {
      listened += 1;
      return ws.listen(options);
    };
    const node = await startNode({ store: redis.url, tokens: { issuer } }, { transport: { ...ws, listen } });
    running.push(node);
    return node;
  };

  it("do not start with another issuer than running nodes, until these have ended", async () => {
    const first = await start(here);
    const refused = await start(there).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(IssuerError);
    // It has served nobody meanwhile.
    expect(listened).toBe(1);
    expect(String(refused)).toMatch(/a\.example.*b\.example.*public_url/);
    const second = await start(here);
    await Promise.all([first.stop(), second.stop()]);
    await start(there);
  });
});

describe("the issuer", () => {
  let opened: OpenStore;
  beforeAll(async () => {
    opened = await openStore();
  });
  afterAll(() => opened?.dispose());

  it("is accepted from one of two that start at the same moment", async () => {
    const outcomes = await Promise.allSettled(
      [here, there, here, there].map((issuer) => agreeOnIssuer(opened.store, issuer, { nodes: 1 })),
    );
    const states = outcomes.map(({ status }) => status);
    expect(states[0]).toBe(states[2]);
    expect(states[1]).toBe(states[3]);
    expect(states[0]).not.toBe(states[1]);
  });
});

describe("a command beside the gateways", () => {
  const configured = (public_url: string | null, issuer: string | null = null) =>
    defineConfig({ public_url, tokens: { issuer } });
  it("issues with the gateways' issuer, or with the configured one if none has run yet", () => {
    expect(issuerForCommands(configured(null), here)).toBe(here);
    expect(issuerForCommands(configured(`${here}/`), here)).toBe(here);
    expect(issuerForCommands(configured(`${here}/gate/`), undefined)).toBe(`${here}/gate`);
    expect(issuerForCommands(configured(there, here), here)).toBe(here);
    expect(issuerForCommands(configured(here), undefined)).toBe(here);
  });
  it("issues nothing if its issuer would differ or is unknown", () => {
    expect(() => issuerForCommands(configured(there), here)).toThrow(/a\.example.*b\.example/);
    expect(() => issuerForCommands(configured(here, there), here)).toThrow(IssuerError);
    expect(() => issuerForCommands(configured(null), undefined)).toThrow(/public_url/);
  });
});
