import { describe, expect, it } from "vitest";

import { createJsonCodec } from "../../src/codec/json.ts";
import { createMsgpackCodec } from "../../src/codec/msgpack.ts";
import { ConnectionRegistry } from "../../src/connection/connection-registry.ts";
import type { UpgradeRequest } from "../../src/connection/socket.ts";
import { createUpgradeChecks, type UpgradeChecksOptions } from "../../src/connection/upgrade-checks.ts";
import { createWireFormat } from "../../src/connection/wire-format.ts";
import { unlimitedLoopBudget } from "../../src/net/loop-budget.ts";
import { createOriginPolicy, createPageTrust } from "../../src/net/origin.ts";
import { quietObserver } from "../support/quiet-log.ts";

const request = (more: Partial<UpgradeRequest> = {}): UpgradeRequest => ({
  path: "/api/websocket",
  query: "",
  header: (name) => (name === "host" ? "gate.example" : undefined),
  headerValues: () => [],
  address: "203.0.113.9",
  subprotocols: [],
  ...more,
});

function checkWith(more: Partial<UpgradeChecksOptions> = {}) {
  return createUpgradeChecks({
    wires: [createWireFormat(createJsonCodec()), createWireFormat(createMsgpackCodec())],
    originAllowed: createOriginPolicy([]),
    pageTrusted: createPageTrust([]),
    roomFor: () => "free",
    draining: () => false,
    loopBudget: unlimitedLoopBudget(),
    addressOf: ({ address }) => address,
    isDirect: () => true,
    upgradeHeaders: [],
    observer: quietObserver,
    open: () => {
      throw new Error("not opened here");
    },
    ...more,
  });
}

/** The status and code of a refusal, or "101" and the subprotocol. */
function verdict(admission: ReturnType<ReturnType<typeof checkWith>>): string {
  if (admission.accept) return `101 ${admission.subprotocol ?? ""}`.trim();
  return `${admission.status} ${(JSON.parse(admission.body) as { code: string }).code}`;
}

describe("admission", () => {
  it("chooses the first offered subprotocol that it knows, and JSON without one", () => {
    const checkUpgrade = checkWith();
    const chosen = (subprotocols: string[]) => verdict(checkUpgrade(request({ subprotocols })));
    expect(chosen([])).toBe("101");
    expect(chosen(["gatehouse.v2.json", "gatehouse.v1.json"])).toBe("101 gatehouse.v1.json");
    expect(chosen(["gatehouse.v1.msgpack"])).toBe("101 gatehouse.v1.msgpack");
    expect(chosen(["graphql-ws", "gatehouse.v1.msgpack"])).toBe("101 gatehouse.v1.msgpack");
    expect(chosen(["graphql-ws"])).toBe("101");
    expect(chosen(["Gatehouse.V1.Msgpack"])).toBe("101");
  });

  it("refuses a token in the URL under any of its names, however it is spelled", () => {
    const checkUpgrade = checkWith();
    for (const query of [
      "access_token=a",
      "x=1&token=a",
      "auth=",
      "api_password=a",
      "ACCESS_TOKEN=a",
      "access%5Ftoken=a",
      "access_token",
    ])
      expect([query, verdict(checkUpgrade(request({ query })))]).toEqual([query, "400 token_in_url"]);
    expect(verdict(checkUpgrade(request({ query: "latest&v=3" })))).toBe("101");
  });

  it("never repeats the token in the answer", () => {
    const admission = checkWith()(request({ query: "access_token=canary-7f31" }));
    expect(JSON.stringify(admission)).not.toContain("canary");
  });

  it("knows one path", () => {
    for (const path of ["/", "/api/websocket/", "/API/websocket", "/api//websocket"])
      expect(verdict(checkWith()(request({ path })))).toBe("404 not_found");
  });

  it("refuses while it drains, and when there is no room", () => {
    expect(verdict(checkWith({ draining: () => true })(request()))).toBe("503 unavailable");
    expect(verdict(checkWith({ roomFor: () => "full" })(request()))).toBe("503 overloaded");
    const full = checkWith({ roomFor: () => "address_full" })(request());
    expect(verdict(full)).toBe("429 rate_limited");
    expect(full).toMatchObject({ headers: { "retry-after": "5" } });
  });
});

const withHost = (origin: string | undefined, host = "gate.example:8123") =>
  createOriginPolicy(["https://app.example", "app://local"])(origin, host);

describe("origin policy", () => {
  const allowed = [
    undefined,
    "https://app.example",
    "app://local",
    "http://gate.example:8123",
    "https://gate.example:8123",
  ];
  const refused = [
    "",
    "null",
    "http://app.example",
    "https://app.example.",
    "https://app.example:443",
    "https://app.example:8443",
    "https://app.example/",
    "https://app.example.evil.example",
    "https://evil.example/https://app.example",
    "https://notapp.example",
    "https://sub.app.example",
    "https://App.Example",
    "HTTPS://app.example",
    "https://app.example@evil.example",
    "https://user:pw@app.example",
    "https://app.example, https://app.example",
    "https://app.example https://evil.example",
    " https://app.example",
    "https://app.example\u0000",
    "https://app。example",
    "https://xn--app-.example",
    "file://",
    "app://local.evil",
    "http://gate.example",
    "http://gate.example:80",
    "http://gate.example:8124",
    "http://gate.example.:8123",
    "http://gate.example:8123.evil.example",
    "http://evil.gate.example:8123",
    "ws://gate.example:8123",
    "javascript://gate.example:8123",
    "*",
    "http://127.0.0.1:8123",
    "http://[::1]:8123",
    "about:blank",
  ];
  it.each(allowed)("allows %s", (origin) => {
    expect(withHost(origin)).toBe(true);
  });
  it.each(refused)("refuses %j", (origin) => {
    expect(withHost(origin)).toBe(false);
  });

  it("lets everybody in with `*`, and opaque origins only when they are listed", () => {
    expect(createOriginPolicy(["*"])("https://evil.example", undefined)).toBe(true);
    expect(createOriginPolicy(["null"])("null", "gate.example")).toBe(true);
    expect(createOriginPolicy([])("null", "null")).toBe(false);
    expect(createOriginPolicy([])("http://", "")).toBe(false);
  });

  it("refuses a list entry that no browser would send", () => {
    for (const entry of [
      "app.example",
      "https://app.example/",
      "https://App.example",
      "https://*.example",
      "",
    ])
      expect(() => createOriginPolicy([entry]), entry).toThrow(TypeError);
  });
});

describe("registry", () => {
  const limits = { sockets: 5, unauthenticated: 3, unauthenticatedPerAddress: 2 };

  it("bounds strangers by address, in total, and all sockets", () => {
    const registry = new ConnectionRegistry<object>(limits);
    const stranger = () => ({});
    const members = [stranger(), stranger(), stranger(), stranger(), stranger()] as const;
    registry.enter(members[0], "a");
    registry.enter(members[1], "a");
    expect([registry.roomFor("a"), registry.roomFor("b")]).toEqual(["address_full", "free"]);
    registry.enter(members[2], "b");
    expect(registry.roomFor("c")).toBe("full");
    registry.leaveUnauthenticated("a");
    expect([registry.roomFor("a"), registry.unauthenticated]).toEqual(["free", 2]);
    registry.leaveUnauthenticated("b");
    registry.enter(members[3], "c");
    registry.leaveUnauthenticated("c");
    registry.enter(members[4], "c");
    expect(registry.roomFor("d")).toBe("full");
    registry.leave(members[0], "a", true);
    registry.leave(members[0], "a", true);
    expect([registry.sockets, registry.unauthenticated, registry.roomFor("d")]).toEqual([4, 2, "free"]);
  });
});
