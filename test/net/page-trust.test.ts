import { describe, expect, it } from "vitest";

import { createPageTrust } from "../../src/net/origin.ts";

describe("whether a request is certainly not of an unknown page", () => {
  it.each([
    // Without a configured address: only what nobody can point elsewhere.
    [[], undefined, undefined, "gate.lan:8123", true],
    [[], undefined, "http://127.0.0.1:8123", "127.0.0.1:8123", true],
    [[], undefined, "http://[::1]:8123", "[::1]:8123", true],
    [[], undefined, "https://localhost", "localhost", true],
    [[], undefined, "http://gate.localhost:8123", "gate.localhost:8123", true],
    [[], undefined, "http://evil.example:8123", "evil.example:8123", false],
    [[], undefined, "http://127.0.0.1.evil.example", "127.0.0.1.evil.example", false],
    [[], undefined, "http://127.0.0.1:80", "127.0.0.1:8123", false],
    [[], undefined, "http://evil.example", "127.0.0.1:8123", false],
    [[], undefined, "null", "null", false],
    [[], undefined, "http://localhost.evil.example", undefined, false],
    // `*` lets every page connect, and names none.
    [["*"], undefined, "http://evil.example", "gate.lan", false],
    [["http://gate.lan:8123"], undefined, "http://gate.lan:8123", "gate.lan:8123", true],
    // With it: that address, whatever Host says.
    [[], "https://gate.example", "https://gate.example", "10.0.0.7:8123", true],
    [[], "https://gate.example", "http://127.0.0.1:8123", "127.0.0.1:8123", false],
  ] as const)("listed %j, own %j, origin %j, host %j: %j", (listed, own, origin, host, expected) => {
    expect(createPageTrust(listed, own)(origin, host)).toBe(expected);
  });
});
