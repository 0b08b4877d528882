import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { providerTypes } from "../../src/auth/providers/provider-types.ts";
import { effectiveConfig, maskUrl } from "../../src/server/config/effective.ts";
import { type ConfigSources, defineConfig, loadConfig } from "../../src/server/config/load.ts";
import { options } from "../../src/server/config/options.ts";
import { ConfigError } from "../../src/server/config/problems.ts";

const CANARY = "canary-0123456789-abcdefghij-klmnop";
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "gatehouse-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(text: string): string {
  const name = path.join(folder, "gatehouse.yaml");
  writeFileSync(name, text);
  return name;
}

function problemsOf(sources: ConfigSources): string {
  try {
    loadConfig(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "no problem";
}

describe("sources", () => {
  it("is complete and frozen without any source", () => {
    const config = loadConfig();
    expect(config).toMatchObject({
      host: "127.0.0.1",
      port: 8123,
      transport: "ws",
      store: null,
      secret: null,
    });
    expect(config.tokens).toMatchObject({ audience: "gatehouse", access_ttl_seconds: 1800 });
    expect(Object.isFrozen(config) && Object.isFrozen(config.limits) && Object.isFrozen(config.origins)).toBe(
      true,
    );
  });

  it("takes flags over environment over file over default", () => {
    const sources = { file: file("port: 1001\nhost: a.example\ntransport: uws\n"), env: {}, flags: {} };
    expect(loadConfig(sources)).toMatchObject({ port: 1001, host: "a.example" });
    const env = { GATEHOUSE_PORT: "1002", GATEHOUSE_HOST: "b.example" };
    expect(loadConfig({ ...sources, env })).toMatchObject({ port: 1002, host: "b.example" });
    const flags = { port: "1003", transport: undefined };
    expect(loadConfig({ ...sources, env, flags })).toMatchObject({
      port: 1003,
      host: "b.example",
      transport: "uws",
      store_timeout_ms: 250,
    });
  });

  it("reads a list in the environment as JSON too", () => {
    const origins = (text: string) => loadConfig({ env: { GATEHOUSE_ORIGINS: text } }).origins;
    const [one, two] = ["https://one.example", "https://two.example"];
    expect(origins(`${one}, ${two}`)).toEqual([one, two]);
    expect(origins(` ["${one}", "${two}"] `)).toEqual([one, two]);
    expect(origins("[]")).toEqual([]);
  });

  it("reads groups, lists, null and booleans from the environment", () => {
    const config = loadConfig({
      file: file("public_url: https://auth.example\nlog:\n  level: debug\n"),
      env: {
        GATEHOUSE_PUBLIC_URL: "",
        GATEHOUSE_TRUSTED_PROXIES: "10.0.0.0/8, ::1",
        GATEHOUSE_METRICS_ENABLED: "false",
        GATEHOUSE_PASSWORD_SCRYPT_N: "1024",
        GATEHOUSE_SECRET: CANARY,
        PATH: "/bin",
      },
    });
    expect(config).toMatchObject({
      public_url: null,
      trusted_proxies: ["10.0.0.0/8", "::1"],
      metrics: { enabled: false },
      password: { scrypt_n: 1024 },
      log: { level: "debug" },
      secret: CANARY,
    });
  });

  it("finds the file that GATEHOUSE_CONFIG names", () => {
    expect(loadConfig({ env: { GATEHOUSE_CONFIG: file("port: 7000") } }).port).toBe(7000);
  });

  it("takes origins of apps and extensions too", () => {
    const origins = ["*", "https://a.example:8443", "chrome-extension://abcdef", "app://local"];
    expect(defineConfig({ origins }).origins).toEqual(origins);
  });

  it("takes an empty file as no options", () => {
    expect(loadConfig({ file: file("") }).port).toBe(8123);
    expect(loadConfig({ file: file("# nothing\n") }).port).toBe(8123);
  });

  it("takes the same options in code", () => {
    expect(defineConfig({ port: 0, limits: { sockets: 5 } })).toMatchObject({
      port: 0,
      limits: { sockets: 5 },
    });
    expect(() => defineConfig({ port: -1 })).toThrow("port (code): must be an integer from 0 to 65535");
  });
});

const aliasBomb = `a: &a [x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: [*c,*c,*c,*c,*c,*c,*c,*c,*c]
`;

const table: readonly [name: string, sources: () => ConfigSources, text: string][] = [
  ["an unknown option", () => ({ file: file("prot: 1") }), "prot (FILE): is not an option"],
  [
    "an unknown option in a group",
    () => ({ file: file("log:\n  lvl: 1") }),
    "log.lvl (FILE): is not an option",
  ],
  ["a prototype key", () => ({ file: file("__proto__:\n  port: 1") }), "__proto__ (FILE): is not an option"],
  ["a value for a group", () => ({ file: file("log: info") }), "log (FILE): must be a mapping of options"],
  ["a list for a group", () => ({ file: file("log: [info]") }), "log (FILE): must be a mapping of options"],
  ["a file that is a list", () => ({ file: file("- port") }), "FILE: must be a mapping of options"],
  ["broken YAML", () => ({ file: file(`a: [${CANARY}`) }), "FILE: is not valid YAML (BAD_INDENT at offset "],
  [
    "a key that is given twice",
    () => ({ file: file("port: 1\nport: 2") }),
    "FILE: is not valid YAML (DUPLICATE_KEY at offset 8)",
  ],
  ["an alias bomb", () => ({ file: file(aliasBomb) }), "FILE: cannot be read (too many aliases)"],
  ["a file that is not there", () => ({ file: path.join(folder, "none.yaml") }), "(ENOENT)"],
  ["a folder as file", () => ({ file: folder }), "cannot be read (EISDIR)"],
  [
    "an unknown variable",
    () => ({ env: { GATEHOUSE_PROT: "1" } }),
    "GATEHOUSE_PROT (environment): is not an option",
  ],
  [
    "a port that is a word",
    () => ({ env: { GATEHOUSE_PORT: CANARY } }),
    "port (GATEHOUSE_PORT): must be an integer from 0 to 65535, got a string of 35 characters",
  ],
  [
    "a port out of range",
    () => ({ flags: { port: 65_536 } }),
    "port (--port): must be an integer from 0 to 65535, got an integer outside that range",
  ],
  ["a port with a fraction", () => ({ file: file("port: 80.5") }), "got a number"],
  ["a number that is text", () => ({ file: file("port: '80'") }), "got a string of 2 characters"],
  ["an empty number", () => ({ env: { GATEHOUSE_PORT: "" } }), "got a string of 0 characters"],
  [
    "null where none is allowed",
    () => ({ file: file("host: null") }),
    "host (FILE): must be a string of 1 to 255 characters, got null",
  ],
  [
    "an unknown choice",
    () => ({ flags: { transport: "tcp" } }),
    "transport (--transport): must be one of ws, uws, got a string of 3 characters",
  ],
  [
    "a yes for a boolean",
    () => ({ env: { GATEHOUSE_METRICS_ENABLED: "yes" } }),
    "metrics.enabled (GATEHOUSE_METRICS_ENABLED): must be true or false",
  ],
  [
    "a string for a list",
    () => ({ file: file("origins: a") }),
    "origins (FILE): must be a list of at most 256 strings, got a string of 1 characters",
  ],
  [
    "a list in the environment that is neither JSON nor separated by commas",
    () => ({ env: { GATEHOUSE_TOKENS_ROTATE_FOR: "['https://a.example/']" } }),
    "strings, got a string of 22 characters that is no JSON: separate the entries by commas",
  ],
  [
    "a list of numbers in the environment",
    () => ({ env: { GATEHOUSE_ORIGINS: "[1]" } }),
    "origins (GATEHOUSE_ORIGINS): must be a list of at most 256 strings, got a list of 1",
  ],
  [
    "a number in a list",
    () => ({ file: file("origins: [1]") }),
    "origins (FILE): must be a list of at most 256 strings, got a list of 1",
  ],
  [
    "a short secret",
    () => ({ env: { GATEHOUSE_SECRET: "canary-short" } }),
    "secret (GATEHOUSE_SECRET): must be a string of 32 to 1024 characters or null, got a string of 12 characters",
  ],
  [
    "a secret in a file",
    () => ({ file: file(`secret: ${CANARY}`) }),
    "secret (FILE): is a secret: set GATEHOUSE_SECRET or secret_file instead",
  ],
  [
    "a secret as a flag",
    () => ({ flags: { secret: CANARY } }),
    "secret (--secret): is a secret: set GATEHOUSE_SECRET instead",
  ],
  [
    "two secrets",
    () => ({ env: { GATEHOUSE_SECRET: CANARY, GATEHOUSE_SECRET_FILE: "x" } }),
    "secret_file (GATEHOUSE_SECRET_FILE): excludes secret",
  ],
  [
    "a TLS certificate without its key",
    () => ({ env: { GATEHOUSE_TLS_CERT_FILE: "a.crt" } }),
    "tls_cert_file (GATEHOUSE_TLS_CERT_FILE): needs tls_key_file as well",
  ],
  [
    "a TLS key without its certificate",
    () => ({ file: file("tls_key_file: a.key") }),
    "tls_key_file (FILE): needs tls_cert_file as well",
  ],
  [
    "TLS on uws",
    () => ({ flags: { transport: "uws", tls_cert_file: "a.crt", tls_key_file: "a.key" } }),
    "transport (--transport): is not supported on uws: use ws, or leave tls_cert_file and tls_key_file out",
  ],
  [
    "a public URL whose path may be read in two ways",
    () => ({ flags: { public_url: "https://a.example/a%2Fb" } }),
    "public_url (--public_url): must not have other things in its path than letters",
  ],
  [
    "a public URL whose path goes up",
    () => ({ flags: { public_url: "https://a.example/a/../b" } }),
    "must not have other things in its path",
  ],
  [
    "a public URL whose path has an empty part",
    () => ({ flags: { public_url: "https://a.example//b" } }),
    "must not have other things in its path",
  ],
  [
    "a public URL with a password",
    () => ({ flags: { public_url: `https://a:${CANARY}@a.example` } }),
    "must not have user, query or fragment",
  ],
  [
    "a public URL that is a word",
    () => ({ flags: { public_url: "a.example" } }),
    "must be a URL with http or https",
  ],
  [
    "a public URL of another scheme",
    () => ({ flags: { public_url: "ftp://a.example" } }),
    "must be a URL with http or https",
  ],
  [
    "a store of another kind",
    () => ({ flags: { store: `mysql://u:${CANARY}@h` } }),
    "store (--store): must begin with redis://",
  ],
  [
    "a store without a host",
    () => ({ flags: { store: "redis://" } }),
    "store (--store): must begin with redis://",
  ],
  [
    "a proxy that is everybody",
    () => ({ flags: { trusted_proxies: ["10.0.0.1", "0.0.0.0/0"] } }),
    "trusted_proxies (--trusted_proxies): entry 2 covers every address",
  ],
  [
    "a proxy that is a name",
    () => ({ flags: { trusted_proxies: ["proxy"] } }),
    "entry 1 is not an IP address or CIDR network",
  ],
  [
    "an origin with a path",
    () => ({ flags: { origins: ["https://a.example/"] } }),
    "origins (--origins): entry 1 is not an origin",
  ],
  [
    "an origin with its default port",
    () => ({ flags: { origins: ["https://a.example:443"] } }),
    "entry 1 is not an origin",
  ],
  [
    "scrypt's N that is no power of two",
    () => ({ flags: { "password.scrypt_n": 5000 } }),
    "password.scrypt_n (--password.scrypt_n): must be a power of two",
  ],
  [
    "scrypt that eats the machine",
    () => ({ flags: { "password.scrypt_n": 1_048_576, "password.scrypt_r": 32 } }),
    "takes more than 1 GiB",
  ],
  [
    "scrypt that takes an age",
    () => ({ flags: { "password.scrypt_n": 1_048_576, "password.scrypt_p": 16 } }),
    "16 times the default's work",
  ],
];

describe("refusals", () => {
  it.each(table)("refuses %s", (_name, sources, text) => {
    const message = problemsOf(sources());
    expect(message).toContain(text.replace(/(?<!_)FILE/, path.join(folder, "gatehouse.yaml")));
    expect(message).not.toContain("canary");
  });

  it("reports every problem at once", () => {
    const message = problemsOf({ file: file("prot: 1\nhots: a"), env: { GATEHOUSE_X: "1" } });
    expect(message.split("\n")).toHaveLength(3);
  });
});

describe("what is shown", () => {
  it("masks secrets when it is shown", () => {
    const config = defineConfig({
      secret: CANARY,
      store: `redis+sentinel://user:${CANARY}@host:1/main?sentinel_password=${CANARY}`,
    });
    const shown = effectiveConfig(config);
    expect(JSON.stringify(shown)).not.toContain("canary");
    expect(shown).toMatchObject({ secret: "***", store: "redis+sentinel://***@host:1/main?***", port: 8123 });
    expect(Object.keys(shown)).toEqual(options.map(({ key }) => key));
  });

  it.each([
    ["redis://h:6379", "redis://h:6379"],
    ["redis://:p@ss@h", "redis://***@h"],
    ["redis+sentinel://u:p@a:1,b:2/main?tls=1", "redis+sentinel://***@a:1,b:2/main?***"],
    ["redis://h/0", "redis://h/0"],
  ])("shows %s as %s", (url, shown) => expect(maskUrl(url)).toBe(shown));

  it("has a default that is valid and a description for every option", () => {
    expect(options.filter(({ description }) => description.length < 10)).toEqual([]);
    expect(new Set(options.map(({ variable }) => variable)).size).toBe(options.length);
  });
});

const types = Object.keys(providerTypes).join(", ");

describe("auth_providers", () => {
  const given = (text: string) => problemsOf({ file: file(`auth_providers:\n${text}`) });

  it("is one local provider by default, and is written as a list, or as JSON in the environment", () => {
    expect(loadConfig().auth_providers).toEqual([{ type: "homeassistant" }]);
    const two = [
      { type: "homeassistant", id: "a", name: "A" },
      { type: "homeassistant", id: "b" },
    ];
    const text =
      "auth_providers:\n  - {type: homeassistant, id: a, name: A}\n  - {type: homeassistant, id: b}\n";
    expect(loadConfig({ file: file(text) }).auth_providers).toEqual(two);
    const env = { GATEHOUSE_AUTH_PROVIDERS: JSON.stringify(two) };
    expect(loadConfig({ env }).auth_providers).toEqual(two);
  });

  it("names both places of two that cannot be told apart", () => {
    const source = path.join(folder, "gatehouse.yaml");
    const line = (first: number, second: number) =>
      `auth_providers (${source}): entries ${first} and ${second} have the same type and id: give each an id of its own`;
    expect(given("  - type: homeassistant\n  - type: homeassistant\n")).toBe(line(1, 2));
    const three = ["a", "b", "a"].map((id) => `  - {type: homeassistant, id: ${id}}\n`).join("");
    expect(given(three)).toBe(line(1, 3));
  });

  it.each([
    ["  - type: kerberos\n", `entry 1 must have a known type: ${types}`],
    ["  - type: homeassistant\n  - {id: x}\n", `entry 2 must have a known type: ${types}`],
    ["  - type: constructor\n", `entry 1 must have a known type: ${types}`],
    ["  - homeassistant\n", `entry 1 must be a mapping with a type: ${types}`],
    [
      "  - {type: homeassistant, new_users: 1}\n",
      "entry 1 has a key that is not an option of homeassistant: new_users",
    ],
    ["  - {type: homeassistant, id: 5}\n", "entry 1 has a wrong id: must be string"],
    ["  - {type: homeassistant, id: ''}\n", "entry 1 has a wrong id: must not have fewer than 1 characters"],
    ["  - {type: command_line}\n", "entry 1 needs command"],
    ["  - {type: command_line, command: check}\n", "entry 1 has a wrong command: must be an absolute path"],
    ["  - {type: oidc}\n", "entry 1 needs issuer, client_id"],
    [
      "  - {type: trusted_networks, trusted_networks: []}\n",
      "entry 1 has a wrong trusted_networks: must not have fewer than 1 items",
    ],
    [
      "  - {type: trusted_networks, trusted_networks: [home]}\n",
      "entry 1 has a wrong trusted_networks: entry 1 is not an IP address or CIDR network",
    ],
    [
      '  - {type: trusted_networks, trusted_networks: [10.0.0.1], trusted_users: {"10.0.0.0/8": [bob]}}\n',
      "entry 1 has a wrong trusted_users: must be a mapping from networks to users: a user's id (32 hex digits), {group: id}, or a list of these",
    ],
    ["  - {type: header}\n", "entry 1 needs proxies"],
    ["  - {type: header, proxies: []}\n", "entry 1 has a wrong proxies: must not have fewer than 1 items"],
    [
      "  - {type: ldap, url: ldap://directory.test, search_base: dc=test}\n",
      "entry 1 would send passwords without TLS: use ldaps://, or set start_tls (or cleartext: true)",
    ],
    [
      "  - {type: command_line, command: /bin/true, new_users: {groups: [system-users, users]}}\n",
      "entry 1 has a wrong new_users.groups: a group must be one of system-admin, system-users, system-read-only, or the id of a group that was made",
    ],
    [
      "  - {type: oidc, issuer: https://id.test, client_id: x, client_auth: basic}\n",
      "entry 1 has a wrong client_auth: must be one of client_secret_basic, client_secret_post",
    ],
    [
      "  - {type: header, proxies: [10.0.0.1], groups_header: x-groups, group_mapping: {admins: admin}}\n",
      "entry 1 has a wrong group_mapping: a group must be one of system-admin, system-users, system-read-only, or the id of a group that was made",
    ],
    [
      '  - {type: trusted_networks, trusted_networks: [10.0.0.1], trusted_users: {"10.0.0.0/8": {group: admin}}}\n',
      "entry 1 has a wrong trusted_users: a group must be one of system-admin, system-users, system-read-only, or the id of a group that was made",
    ],
    ["  []\n", "must be a list of 1 to 64 mappings, got a list of 0"],
    ["  homeassistant\n", "must be a list of 1 to 64 mappings, got a string of 13 characters"],
  ])("refuses %j", (text, message) => {
    expect(given(text)).toBe(`auth_providers (${path.join(folder, "gatehouse.yaml")}): ${message}`);
  });

  const oidc = (options: object) => ({
    type: "oidc" as const,
    issuer: "https://id.test",
    client_id: "c",
    ...options,
  });
  it.each([
    [{}, null, "needs public_url"],
    [
      { client_secret: "a canary", client_secret_file: "/f" },
      "https://a.test",
      "client_secret and client_secret_file",
    ],
    [{ issuer: "id.test" }, "https://a.test", "not a URL with https"],
    [{ issuer: "http://id.test" }, "https://a.test", "an issuer with http"],
    [{ issuer: "https://a:canary@id.test" }, "https://a.test", "with user"],
    [{ issuer: "https://id.test/?canary" }, "https://a.test", "query"],
    [{ issuer: "https://id.test/.well-known/openid-configuration" }, "https://a.test", "leave out"],
  ])("refuses the OpenID provider %j at %j, and repeats no value", (options, public_url, problem) => {
    const env = { GATEHOUSE_AUTH_PROVIDERS: JSON.stringify([oidc(options)]) };
    const told = problemsOf({
      env: public_url === null ? env : { ...env, GATEHOUSE_PUBLIC_URL: public_url },
    });
    expect(told).toContain("auth_providers (GATEHOUSE_AUTH_PROVIDERS): entry 1 ");
    expect(told).toContain(problem);
    expect(told).not.toContain("canary");
  });

  it("shows no client secret", () => {
    const providers = [
      oidc({ client_secret: "a canary" }),
      oidc({ id: "b", issuer: "http://127.0.0.1:1/x" }),
    ];
    const env = {
      GATEHOUSE_AUTH_PROVIDERS: JSON.stringify(providers),
      GATEHOUSE_PUBLIC_URL: "https://a.test",
    };
    const shown = effectiveConfig(loadConfig({ env }));
    expect(shown.auth_providers).toMatchObject([{ client_id: "c", client_secret: "***" }, { id: "b" }]);
    expect(JSON.stringify(shown)).not.toContain("canary");
  });
});
