import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "..");

/**
 * What each folder may import of the others; a file instead of a folder means that file alone. Imports flow one way:
 * protocol, net <- auth <- connection <- commands, http <- server <- cli; transport, codec and store are adapters; client
 * sees protocol and codec only, and the login element sees the client and protocol.
 */
const allowed: Record<string, readonly string[]> = {
  protocol: [],
  "src/net": [],
  "src/auth": ["protocol", "src/net"],
  "src/codec": ["protocol"],
  "src/connection": ["protocol", "src/net", "src/auth", "src/codec/codec.ts"],
  "src/presence": ["protocol", "src/auth", "src/connection"],
  "src/topics": ["protocol", "src/auth", "src/connection", "src/codec/codec.ts"],
  "src/commands": ["protocol", "src/auth", "src/connection", "src/presence", "src/topics"],
  "src/http": ["protocol", "src/net", "src/auth", "src/topics"],
  "src/transport": [
    "protocol",
    "src/net",
    "src/auth/errors.ts",
    "src/codec/codec.ts",
    "src/connection/socket.ts",
    "src/connection/shared-frames.ts",
    "src/http/endpoint.ts",
    "src/http/security-headers.ts",
  ],
  "src/store": [
    "protocol",
    "src/auth/store.ts",
    "src/auth/event-bus.ts",
    "src/auth/errors.ts",
    "src/auth/clock/clock.ts",
    "src/auth/record-keys.ts",
    "src/presence/presence-directory.ts",
    "src/topics/broker.ts",
  ],
  "src/client": ["protocol", "src/codec"],
  "src/pages": ["src/client"],
  "src/login-element": ["protocol", "src/client"],
  "src/observability": [
    "protocol",
    "src/net",
    "src/auth",
    "src/codec/codec.ts",
    "src/connection",
    "src/http",
    "src/topics",
  ],
  "src/server": [
    "protocol",
    "src/net",
    "src/auth",
    "src/codec",
    "src/connection",
    "src/commands",
    "src/presence",
    "src/topics",
    "src/http",
    "src/observability",
    "src/transport",
    "src/store",
  ],
  "src/cli": [
    "protocol",
    "src/auth",
    "src/client",
    "src/codec",
    "src/observability",
    "src/server",
    "src/store",
  ],
  "src/examples": ["src/index.ts", "src/client", "src/http/pages.ts", "src/server/pages.ts"],
  "src/index.ts": ["protocol", "src/auth", "src/codec", "src/connection", "src/observability", "src/server"],
};

/** Packages that only their adapter may touch. */
const packageHome: Record<string, readonly string[]> = {
  ws: ["src/transport/ws", "src/client/default-websocket.ts"],
  "uWebSockets.js": ["src/transport/uws"],
  ioredis: ["src/store/redis"],
  lmdb: ["src/store/embedded"],
  msgpackr: ["src/codec"],
  ldapts: ["src/auth/providers/ldap"],
  "openid-client": ["src/auth/providers/oidc"],
  otpauth: ["src/auth/factors/totp"],
  qr: ["src/auth/factors/totp"],
  "@simplewebauthn/server": ["src/auth/factors/webauthn"],
  jose: ["src/auth/tokens", "src/auth/providers/oidc", "src/auth/clients"],
  hono: ["src/http"],
  pino: ["src/observability"],
  commander: ["src/cli"],
  lit: ["src/login-element"],
  "@noble/hashes": ["src/client/scram.ts"],
};

function filesIn(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

const sources = [...filesIn("protocol"), ...filesIn("src")];

function importsOf(file: string): string[] {
  const text = readFileSync(path.join(root, file), "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)].map((match) => match[1] ?? "");
}

function homeOf(file: string): string {
  const home = Object.keys(allowed).find((folder) => file === folder || file.startsWith(`${folder}/`));
  if (home === undefined) throw new Error(`${file} belongs to no folder of the design`);
  return home;
}

function relativeImports(file: string): string[] {
  return importsOf(file)
    .filter((name) => name.startsWith("."))
    .map((name) => path.normalize(path.join(path.dirname(file), name)));
}

describe("architecture", () => {
  it("imports flow one way", () => {
    const wrong: string[] = [];
    for (const file of sources) {
      const home = homeOf(file);
      for (const target of relativeImports(file)) {
        const fine = [home, ...(allowed[home] ?? [])].some(
          (place) => target === place || target.startsWith(`${place}/`),
        );
        if (!fine) wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("adapters never import each other", () => {
    const adapters = [
      "src/store/embedded",
      "src/store/redis",
      "src/transport/ws",
      "src/transport/uws",
      "src/transport/memory",
    ];
    const adapterOf = (file: string) => adapters.find((adapter) => file.startsWith(adapter));
    const wrong = sources.flatMap((file) =>
      relativeImports(file)
        .filter((target) => adapterOf(file) && adapterOf(target) && adapterOf(file) !== adapterOf(target))
        .map((target) => `${file} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("keeps each package at its adapter", () => {
    const wrong: string[] = [];
    for (const file of sources) {
      for (const name of importsOf(file)) {
        const owner = Object.keys(packageHome).find((pkg) => name === pkg || name.startsWith(`${pkg}/`));
        if (owner && !packageHome[owner]?.some((place) => file.startsWith(place)))
          wrong.push(`${file} imports ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("gives the client's JSON entry no package but ws, which Node 20 needs, and the hashes of a proof", () => {
    const packagesOf = (entry: string) => {
      const reached = new Set([entry]);
      for (const file of reached) for (const target of valueImports(file)) reached.add(target);
      return [...new Set([...reached].flatMap(importedPackages))];
    };
    const hashes = ["@noble/hashes/hmac.js", "@noble/hashes/sha2.js"];
    expect(packagesOf("src/client/index.ts").sort()).toEqual([...hashes, "ws"]);
    expect(packagesOf("src/client/msgpack.ts")).toEqual(["msgpackr"]);
  });

  it("has one place that says whether a user may act", () => {
    const home = "src/auth/users/account-status.ts";
    const judging = sources.filter((file) => {
      const text = readFileSync(path.join(root, file), "utf8");
      return /\bisLocalAddress\(/.test(text) || /\bstate [!=]== "(active|pending|deactivated)"/.test(text);
    });
    const others = [
      // Where it is defined.
      "src/net/local-address.ts",
      // What a login page ticks beforehand; no user is known yet.
      "src/http/endpoints/providers.ts",
      // How a state is stored, and changed.
      "src/auth/users/user-state.ts",
      "src/auth/users/users.ts",
      "src/observability/audited-authority.ts",
    ];
    expect(judging.filter((file) => file !== home && !others.includes(file))).toEqual([]);
  });

  it("has no import cycles", () => {
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (file: string, trail: readonly string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        cycles.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
        return;
      }
      state.set(file, "open");
      for (const target of valueImports(file)) visit(target, [...trail, file]);
      state.set(file, "done");
    };
    for (const file of sources) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it("keeps files under 400 lines and out of drawers", () => {
    const long = sources.filter(
      (file) => readFileSync(path.join(root, file), "utf8").split("\n").length > 400,
    );
    const drawers = sources.filter((file) => /(^|\/)(utils?|helpers?|common|misc)[./]/.test(file));
    const names = sources.filter((file) => !/^[a-z0-9/.-]+$/.test(file));
    expect({ long, drawers, names }).toEqual({ long: [], drawers: [], names: [] });
  });
});

/** What a file imports at run time, by the names that stand there. */
function valueImportNames(file: string): string[] {
  const text = readFileSync(path.join(root, file), "utf8")
    .replaceAll(/import type[^;]*;/g, "")
    .replaceAll(/export type \{[^;]*;/g, "");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)].map((match) => match[1] ?? "");
}

/** Imports that exist at run time: a type import makes no cycle. */
function valueImports(file: string): string[] {
  return valueImportNames(file)
    .filter((name) => name.startsWith("."))
    .map((name) => path.normalize(path.join(path.dirname(file), name)))
    .filter((target) => sources.includes(target));
}

function importedPackages(file: string): string[] {
  return valueImportNames(file).filter((name) => !name.startsWith("."));
}
