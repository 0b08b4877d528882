import { describe, expect, it } from "vitest";

import type { User } from "../../../../src/auth/model.ts";
import { trustedNetworksProviderType } from "../../../../src/auth/providers/trusted-networks/type.ts";
import { parseAddressRanges } from "../../../../src/net/address-ranges.ts";
import { userOf } from "../../../support/people.ts";

type Entry = Parameters<typeof trustedNetworksProviderType.create>[0];
type Tools = Parameters<typeof trustedNetworksProviderType.create>[1];

const id = (digit: string) => digit.repeat(32);
const people = [
  userOf({ id: id("a"), name: "Ada", groupIds: ["system-admin"], createdAt: 1 }),
  userOf({ id: id("b"), name: "Bob", createdAt: 2 }),
  userOf({ id: id("c"), name: null, createdAt: 3 }),
  userOf({ id: id("d"), name: "Gone", state: "deactivated", createdAt: 4 }),
  userOf({ id: id("e"), name: "Waits", state: "pending", createdAt: 5 }),
  userOf({ id: id("f"), name: "Service", systemGenerated: true, createdAt: 6 }),
];
const shown = (...users: string[]) =>
  users.map((user) => [id(user), people.find((each) => each.id === id(user))?.name ?? id(user)]);

function create(
  more: Partial<Entry> = {},
  users: readonly User[] = people,
  onPage: () => void = () => undefined,
) {
  const tools = {
    trustedProxies: parseAddressRanges(["192.168.1.1"]),
    users: {
      read: async (userId: string) => {
        const user = users.find((each) => each.id === userId);
        return user && { user, version: 1, epoch: 1 };
      },
      page: async () => {
        onPage();
        return { users, next: undefined };
      },
    },
  } as Partial<Tools> as Tools;
  const entry: Entry = {
    type: "trusted_networks",
    trusted_networks: ["192.168.0.0/16", "fd00::/8"],
    ...more,
  };
  expect(trustedNetworksProviderType.problem(entry)).toBeUndefined();
  return trustedNetworksProviderType.create(entry, tools);
}

const inside = "192.168.1.20";
const contextAt = (address: string | null) => ({ flowId: "f", peer: { address }, known: false });
const begin = (entry: Partial<Entry>, address: string | null = inside, users?: readonly User[]) =>
  create(entry, users).begin(contextAt(address));
const choose = (entry: Partial<Entry>, user: string, address: string | null = inside) =>
  create(entry).advance("init", { user }, {}, contextAt(address));
const notAllowed = { kind: "abort", reason: "not_allowed" };

describe("trusted networks", () => {
  it("look at the users once for starts at once, and again for the next one", async () => {
    let pages = 0;
    const provider = create({}, people, () => {
      pages += 1;
    });
    const starts = await Promise.all(Array.from({ length: 20 }, () => provider.begin(contextAt(inside))));
    expect(starts.map(({ kind }) => kind)).toEqual(Array(20).fill("form"));
    expect(pages).toBe(1);
    await provider.begin(contextAt(inside));
    expect(pages).toBe(2);
  });
  it("admit addresses of the networks, and no proxy, no stranger, nobody unknown", async () => {
    const { admits } = create();
    const verdict = (address: string | null) => admits?.({ address });
    for (const address of [inside, "192.168.255.255", "fd12::1"]) expect(verdict(address)).toBe(true);
    for (const address of ["192.168.1.1", "10.0.0.1", "::1", null, ""]) {
      expect(verdict(address)).toBe(false);
      expect(await begin({}, address)).toEqual(notAllowed);
      expect(await choose({}, id("a"), address)).toEqual(notAllowed);
    }
  });

  it("offer everybody who may log in, oldest first, and take the one who was chosen", async () => {
    expect(await begin({})).toEqual({
      kind: "form",
      stepId: "init",
      fields: [{ name: "user", type: "select", required: true, options: shown("a", "b", "c") }],
    });
    expect(await choose({}, id("b"))).toEqual({
      kind: "done",
      subject: id("b"),
      linkTo: id("b"),
      userId: id("b"),
      amr: [],
      evidence: [],
    });
    for (const user of ["d", "e", "f", "0"]) expect(await choose({}, id(user))).toMatchObject(notAllowed);
  });

  it("offer those of the first network in trusted_users that has the address, by id and by group", async () => {
    const trusted_users = {
      "192.168.1.0/24": [id("b"), { group: "system-admin" }],
      "192.168.2.0/24": { group: ["system-users"] },
      "192.168.0.0/16": id("c"),
    };
    const optionsAt = async (address: string) => {
      const step = await begin({ trusted_users }, address);
      return step.kind === "form" ? step.fields[0]?.options : step;
    };
    expect(await optionsAt("192.168.1.20")).toEqual(shown("a", "b"));
    expect(await optionsAt("192.168.2.20")).toEqual(shown("b", "c"));
    expect(await optionsAt("192.168.3.20")).toEqual(shown("c"));
    expect(await optionsAt("fd00::1")).toEqual(shown("a", "b", "c"));
    expect(await choose({ trusted_users }, id("a"), "192.168.3.20")).toMatchObject(notAllowed);
    expect(await choose({ trusted_users }, id("a"), "192.168.1.20")).toMatchObject({ kind: "done" });
  });

  it("ask nobody if there is only one, and that is allowed", async () => {
    const one = { trusted_users: { "192.168.0.0/16": id("c") } };
    expect(await begin(one)).toMatchObject({ kind: "form" });
    expect(await begin({ ...one, allow_bypass_login: true })).toMatchObject({
      kind: "done",
      linkTo: id("c"),
    });
    expect(await begin({ allow_bypass_login: true })).toMatchObject({ kind: "form" });
    const nobody = { trusted_users: { "192.168.0.0/16": id("d") }, allow_bypass_login: true };
    expect(await begin(nobody)).toEqual(notAllowed);
  });

  it("offer local-only users to local addresses only", async () => {
    const users = [userOf({ id: id("a"), localOnly: true })];
    expect(await begin({ trusted_networks: ["203.0.113.0/24"] }, "203.0.113.9", users)).toEqual(notAllowed);
    expect(await begin({}, inside, users)).toMatchObject({ kind: "form" });
  });

  it("do not send a list of hundreds of users", async () => {
    const many = Array.from({ length: 501 }, (_, n) => userOf({ id: n.toString(16).padStart(32, "0") }));
    expect(await begin({}, inside, many.slice(1))).toMatchObject({ kind: "form" });
    expect(await begin({}, inside, many)).toEqual({ kind: "abort", reason: "too_many_users" });
  });

  it("warn of ids that no user has", async () => {
    const trusted_users = { "192.168.0.0/16": [id("a"), id("9"), { group: "system-users" }] };
    expect(await create({ trusted_users }).warnings?.()).toEqual([
      `trusted_users names ${id("9")}, which is no user`,
    ]);
  });

  it("are refused when a network is none, with its place", () => {
    const problem = (more: Partial<Entry>) =>
      trustedNetworksProviderType.problem({
        type: "trusted_networks",
        trusted_networks: ["10.0.0.0/8"],
        ...more,
      });
    expect(problem({ trusted_networks: ["10.0.0.0/8", "home"] })).toBe(
      "has a wrong trusted_networks: entry 2 is not an IP address or CIDR network",
    );
    expect(problem({ trusted_networks: ["0.0.0.0/0"] })).toContain("covers every address");
    expect(problem({ trusted_users: { "10.0.0.0/33": id("a") } })).toContain("wrong trusted_users: key 1");
  });
});
