import { expect, it } from "vitest";
import { defineConfig, place } from "../../src/server/config/load.ts";
import { options } from "../../src/server/config/options.ts";
import { ConfigError } from "../../src/server/config/problems.ts";
import { type ConfigInput, environmentOnly } from "../../src/server/config/schema.ts";

function problemsOf(input: ConfigInput): readonly string[] {
  try {
    defineConfig(input);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ key, message }) => `${key} ${message}`);
    throw error;
  }
  return [];
}

it.each([
  "127.0.0.1\0x",
  "127.0.0.1\n",
  "a b",
  "",
  "300.1.1.1",
  "1.2.3.4.5",
  "[::1]",
  "127.0.0.1:80",
  "127.0.0.1%eth0",
  ":::1",
  "fe80::1%",
  "http://gate.test",
  "gate.test/x",
  "-gate.test",
  "gate..test",
  "a@gate.test",
  `${"a".repeat(64)}.test`,
])("refuses the host %j", (host) => {
  expect(problemsOf({ host })).toEqual([expect.stringMatching(/^host must /)]);
});

it.each([
  "0.0.0.0",
  "::",
  "::1",
  "::ffff:10.0.0.1",
  "fe80::1%eth0.5",
  "localhost",
  "gate.test.",
  "Gate-1.test",
  "node_1",
  "xn--mnchen-3ya.test",
  "127.1",
])("takes the host %j", (host) => {
  expect(problemsOf({ host })).toEqual([]);
});

const texts = options.filter(({ key, kind }) => kind === "string" && !environmentOnly.has(key));

it.each(texts.map(({ key, path }) => ({ key, path })))(
  "refuses control characters in $key",
  ({ key, path }) => {
    for (const character of ["\0", "\t", "\n", "\r", "\u007f", "\u0085", "\u2028"]) {
      const input: Record<string, unknown> = {};
      place(input, path, `https://gate.test/a${character}b`);
      expect(problemsOf(input)).toContain(`${key} must not hold control characters or line breaks`);
    }
  },
);

const local = { type: "homeassistant" } as const;
const ldap = { type: "ldap", url: "ldaps://directory.test", user_dn: "uid={username},dc=test" } as const;
const command = { type: "command_line", command: "/bin/true" } as const;
const client = { client_id: "app", redirect_uris: ["https://app.test/cb"] };

it.each<[string, ConfigInput]>([
  ["origins entry 1", { origins: ["https://a.test\n"] }],
  ["tokens.rotate_for entry 2", { tokens: { rotate_for: ["https://a.test/", "https://b.test/\r"] } }],
  ["auth_providers entry 2 has a wrong name:", { auth_providers: [local, { ...ldap, name: "a\u001b[2J" }] }],
  ["auth_providers entry 1 has a wrong ca_file:", { auth_providers: [{ ...ldap, ca_file: "/a\nb" }] }],
  ["auth_providers entry 1 has a wrong command:", { auth_providers: [{ ...command, command: "/bin/a\nb" }] }],
  [
    "auth_mfa_modules entry 1 has a wrong webhook:",
    { auth_mfa_modules: [{ type: "notify", webhook: "https://a.test/\nb" }] },
  ],
  [
    "clients entry 1 has a wrong redirect_uris:",
    { clients: [{ ...client, redirect_uris: ["https://app.test/\tcb"] }] },
  ],
  ["clients entry 1 has a wrong secret_file:", { clients: [{ ...client, secret_file: "/a\u0000b" }] }],
])("names %s", (named, input) => {
  const [problem, ...more] = problemsOf(input);
  expect(problem).toContain(`${named} must not hold control characters or line breaks`);
  expect(more).toEqual([]);
});

it("leaves texts alone that a program gets, that people read, and that are secrets", () => {
  expect(
    problemsOf({
      auth_providers: [
        local,
        { ...command, args: ["one\ntwo\t"] },
        { type: "ldap", url: ldap.url, search_base: "dc=test", bind_dn: "cn=a", bind_password: "a\tb" },
      ],
      auth_mfa_modules: [{ type: "notify", command: "/bin/true", message: "{}\nis your code" }],
    }),
  ).toEqual([]);
});
