import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { loadConfig } from "../../src/server/config/load.ts";

const textOf = (name: string) =>
  readFileSync(path.resolve(import.meta.dirname, "../../.deploy", name), "utf8");

interface Service {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly secrets?: readonly string[];
  readonly stop_grace_period?: string;
}
const compose = parse(textOf("compose.yaml")) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, unknown>>;
};
const nodes = Object.entries(compose.services).filter(([, { image }]) => image === "gatehouse");

/** What the grace of a stop is by default, in seconds; whoever stops a gateway has to wait for longer. */
const graceSeconds = loadConfig().limits.shutdown_grace_ms / 1000;

/** The variables that a file sets for the gateway. */
function variablesIn(text: string): Readonly<Record<string, string>> {
  const found = [...text.matchAll(/\b(GATEHOUSE_[A-Z_]+)=(\S+)/g)];
  return Object.fromEntries(found.map(([, name = "", value = ""]) => [name, value]));
}

describe("the samples of a deployment", () => {
  it.each(["Dockerfile", "gatehouse.service"])("%s sets options that there are", (name) => {
    const variables = variablesIn(textOf(name));
    expect(Object.keys(variables)).not.toEqual([]);
    expect(() => loadConfig({ env: variables })).not.toThrow();
  });

  it("the nodes of the compose file share store, secret and issuer, with options that there are", () => {
    expect(nodes.length).toBeGreaterThan(1);
    for (const [, { environment, secrets }] of nodes) {
      expect(environment).toEqual(nodes[0]?.[1].environment);
      const config = loadConfig({ env: environment ?? {} });
      expect(config.store).toMatch(/^redis:\/\/redis:/);
      expect(config.public_url).not.toBeNull();
      expect(config.secret_file).toBe(`/run/secrets/${secrets?.[0]}`);
      expect(Object.keys(compose.secrets)).toEqual(secrets);
    }
    const redis = compose.services.redis?.command?.join(" ");
    for (const setting of ["--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"])
      expect(redis).toContain(setting);
  });

  it("whoever stops a gateway waits for longer than a stop may take", () => {
    for (const [, { stop_grace_period }] of nodes)
      expect(Number.parseInt(stop_grace_period ?? "", 10)).toBeGreaterThan(graceSeconds);
    const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(textOf("gatehouse.service")) ?? [];
    expect(Number(seconds)).toBeGreaterThan(graceSeconds);
  });

  it("proxies keep idle connections for less long than the gateway does", () => {
    const keptSeconds = loadConfig().limits.http_keep_alive_ms / 1000;
    const [, nginx] = /keepalive_timeout (\d+)s;/.exec(textOf("nginx.conf")) ?? [];
    const [, caddy] = /keepalive (\d+)s/.exec(textOf("Caddyfile")) ?? [];
    expect(Number(nginx)).toBeLessThan(keptSeconds);
    expect(Number(caddy)).toBeLessThan(keptSeconds);
  });
});
