import { describe, expect, it } from "vitest";

import type { Peer } from "../../../../src/auth/model.ts";
import { headerProviderType } from "../../../../src/auth/providers/header/type.ts";

type Entry = Parameters<typeof headerProviderType.create>[0];
const proxy = "10.0.0.2";
const ws = { transport: "ws" } as const;
const base: Entry = {
  type: "header",
  proxies: [proxy],
  name_header: "Remote-Name",
  groups_header: "Remote-Groups",
  group_mapping: { staff: "system-users", chiefs: "system-admin" },
};

/** Values as a transport gives them: one character a byte. */
function peerOf(headers: Readonly<Record<string, string | readonly string[]>>, address = proxy): Peer {
  const bytes = (value: string) => Buffer.from(value, "utf8").toString("latin1");
  const entries = Object.entries(headers).map(
    ([name, value]) => [name, (typeof value === "string" ? [value] : value).map(bytes)] as const,
  );
  return { address: "203.0.113.9", upgrade: { address, headers: new Map(entries) } };
}

async function begin(peer: Peer, entry: Partial<Entry> = {}) {
  const given = { ...base, ...entry };
  expect(headerProviderType.problem(given, ws)).toBeUndefined();
  return await headerProviderType.create(given).begin({ flowId: "f", peer, known: false });
}
const reason = async (peer: Peer) => {
  const step = await begin(peer);
  return step.kind === "abort" ? step.reason : step.kind;
};

describe("the identity of a proxy's headers", () => {
  it("is the person's, with name and groups", async () => {
    const headers = {
      "remote-user": " ada ",
      "remote-name": "Lovelace, Ad\u00e9",
      "remote-groups": "staff, strangers,,chiefs",
    };
    expect(await begin(peerOf(headers))).toEqual({
      kind: "done",
      subject: "ada",
      amr: [],
      evidence: [],
      profile: { name: "Lovelace, Ad\u00e9", groupIds: ["system-users", "system-admin"] },
    });
    expect(await begin(peerOf({ "remote-user": "jos\u00e9@example.test" }))).toMatchObject({
      subject: "jos\u00e9@example.test",
      profile: { groupIds: [] },
    });
    const piped = { "x-user": "ada", "x-groups": "staff|chiefs" };
    const other = { user_header: "X-User", groups_header: "X-Groups", groups_separator: "|" };
    expect(await begin(peerOf(piped), other)).toMatchObject({
      subject: "ada",
      profile: { groupIds: ["system-users", "system-admin"] },
    });
  });

  it("is believed from the proxy's own address only", async () => {
    const provider = headerProviderType.create(base);
    for (const address of ["10.0.0.3", "203.0.113.9", "::1", ""]) {
      const peer = peerOf({ "remote-user": "ada" }, address);
      expect(await reason(peer)).toBe("not_allowed");
      expect(provider.isOffered?.(peer)).toBe(false);
    }
    // An address that a forwarded header names is not who connects, and HTTP requests say nothing.
    expect(await reason({ address: proxy })).toBe("not_allowed");
    expect(provider.isOffered?.(peerOf({}))).toBe(true);
  });

  it.each<[string, Readonly<Record<string, string | readonly string[]>>]>([
    ["twice", { "remote-user": ["ada", "eve"] }],
    ["twice the same", { "remote-user": ["ada", "ada"] }],
    ["joined", { "remote-user": "eve, ada" }],
    ["empty", { "remote-user": " " }],
    ["too long", { "remote-user": "a".repeat(257) }],
    ["with a control character", { "remote-user": "a\u0007da" }],
    ["with an invisible character", { "remote-user": "a\u200bda" }],
    ["with a name twice", { "remote-user": "ada", "remote-name": ["Ada", "Eve"] }],
    ["with groups twice", { "remote-user": "ada", "remote-groups": ["chiefs", "staff"] }],
    ["with endless groups", { "remote-user": "ada", "remote-groups": "a,".repeat(300) }],
  ])("is refused %s", async (_what, headers) => {
    expect(await reason(peerOf(headers))).toBe("identity_invalid");
  });

  it("is refused with other characters if it is ASCII only", async () => {
    for (const headers of [
      { "remote-user": "jos\u00e9" },
      { "remote-user": "ada", "remote-groups": "caf\u00e9" },
    ])
      expect(await begin(peerOf(headers), { ascii_only: true })).toMatchObject({
        reason: "identity_invalid",
      });
    expect(await begin(peerOf({ "remote-user": "ada" }), { ascii_only: true })).toMatchObject({
      kind: "done",
    });
  });

  it("is refused if it is not UTF-8, and said to be missing if it is", async () => {
    const headers = new Map([["remote-user", ["ad\u00e9"]]]);
    expect(await reason({ address: null, upgrade: { address: proxy, headers } })).toBe("identity_invalid");
    expect(await reason(peerOf({ "remote-name": "Ada" }))).toBe("identity_missing");
  });
});

it("an entry needs proxies and headers that mean nothing else", () => {
  const problem = (more: Partial<Entry>) =>
    headerProviderType.problem({ type: "header", proxies: [proxy], ...more }, ws);
  const onUws = (more: Partial<Entry>) =>
    headerProviderType.problem({ type: "header", proxies: [proxy], ...more }, { transport: "uws" });
  expect(onUws({})).toContain("needs ascii_only");
  expect(onUws({ ascii_only: true })).toBeUndefined();
  expect(problem({})).toBeUndefined();
  expect(problem({ proxies: ["proxy.test"] })).toBe(
    "has wrong proxies: entry 1 is not an IP address or CIDR network",
  );
  expect(problem({ proxies: ["0.0.0.0/0"] })).toContain("covers every address");
  for (const user_header of ["Cookie", "X-Forwarded-For", "sec-websocket-protocol", "Host"])
    expect(problem({ user_header })).toContain("another meaning");
  expect(problem({ name_header: "remote-user" })).toBe("uses one header twice");
  expect(problem({ groups_header: "Remote-Groups" })).toContain("group_mapping");
});
