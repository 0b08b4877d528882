import { describe, expect, it } from "vitest";

import { addressRangeProblem, parseAddressRanges } from "../../src/http/address-ranges.ts";
import { resolveClientAddress } from "../../src/http/client-address.ts";

const proxy = "10.0.0.1";
const stranger = "203.0.113.9";
const trusted = parseAddressRanges(["10.0.0.0/8", "fd00::/8"]);
const nobody = parseAddressRanges([]);

type Headers = Readonly<Record<string, string>>;
const resolve = (peer: string, headers: Headers, ranges = trusted) =>
  resolveClientAddress(peer, (name) => headers[name], ranges);

const believed: readonly [headers: string, client: string][] = [
  ["198.51.100.7", "198.51.100.7"],
  ["2001:DB8::7", "2001:db8::7"],
  ["::ffff:198.51.100.7", "198.51.100.7"],
  ["192.0.2.1, 198.51.100.7", "198.51.100.7"],
  ["192.0.2.1, 198.51.100.7, 10.2.2.2", "198.51.100.7"],
  ["192.0.2.1,198.51.100.7,fd00::2,10.2.2.2", "198.51.100.7"],
  ["10.5.5.5, 10.6.6.6", "10.5.5.5"],
  ["10.5.5.5", "10.5.5.5"],
];
const nonsense: readonly string[] = [
  "",
  " ",
  "unknown",
  "198.51.100.7:1234",
  "[2001:db8::7]",
  "fe80::1%eth0",
  "0177.0.0.1",
  "127.1",
  "2130706433",
  "198.51.100.7,",
  ",198.51.100.7",
  "198.51.100.7,,10.0.0.2",
  "198.51.100.7 10.0.0.2",
  "198.51.100.256",
  "198.51.100.7\r\nx: y",
  `${"198.51.100.7,".repeat(32)}198.51.100.7`,
  "1".repeat(3000),
  "for=198.51.100.7",
];

describe("behind a trusted proxy", () => {
  it.each(believed)("%j is from %s", (value, client) => {
    expect(resolve(proxy, { "x-forwarded-for": value })).toEqual({ address: client, forwarding: "believed" });
  });
  it.each(nonsense)("%j is not believed", (value) => {
    expect(resolve(proxy, { "x-forwarded-for": value })).toEqual({ address: proxy, forwarding: "ignored" });
  });
  it("without a header the proxy itself asks", () => {
    expect(resolve(proxy, {})).toEqual({ address: proxy, forwarding: "none" });
  });
  it.each(["forwarded", "x-real-ip", "x-client-ip", "cf-connecting-ip"])(
    "%s alone is not believed",
    (name) => {
      expect(resolve(proxy, { [name]: "198.51.100.7" })).toEqual({ address: proxy, forwarding: "ignored" });
    },
  );
  it("other headers beside X-Forwarded-For change nothing", () => {
    const headers = {
      "x-forwarded-for": "198.51.100.7",
      forwarded: "for=127.0.0.1",
      "x-real-ip": "127.0.0.1",
    };
    expect(resolve(proxy, headers).address).toBe("198.51.100.7");
  });
});

describe("from anybody else", () => {
  const values = [...believed.map(([value]) => value), ...nonsense, "127.0.0.1", "::1"];
  it.each(values)("%j is ignored", (value) => {
    expect(resolve(stranger, { "x-forwarded-for": value })).toEqual({
      address: stranger,
      forwarding: "ignored",
    });
  });
  it("a loopback peer is no proxy unless it is configured", () => {
    const headers = { "x-forwarded-for": "198.51.100.7" };
    expect(resolve("127.0.0.1", headers, nobody)).toEqual({ address: "127.0.0.1", forwarding: "ignored" });
  });
  it("a stranger cannot smuggle himself in by naming a proxy", () => {
    expect(resolve(proxy, { "x-forwarded-for": `127.0.0.1, ${stranger}, ${proxy}` }).address).toBe(stranger);
  });
});

describe("networks", () => {
  it.each([
    ["127.0.0.0/8", "127.9.9.9", true],
    ["127.0.0.0/8", "128.0.0.1", false],
    ["192.0.2.4", "192.0.2.4", true],
    ["192.0.2.4", "192.0.2.5", false],
    ["::1/128", "::1", true],
    ["2001:db8::/32", "2001:db8:1::1", true],
    ["2001:db8::/32", "2001:db9::1", false],
    ["10.0.0.0/8", "not an address", false],
    ["10.0.0.0/8", "", false],
  ])("%s holds %s: %s", (network, address, answer) => {
    expect(parseAddressRanges([network]).includes(address)).toBe(answer);
  });
  it.each([
    ["0.0.0.0/0", "covers every address"],
    ["::/0", "covers every address"],
    ["::ffff:0:0/95", "covers all IPv4 addresses in their IPv6 form"],
    ["::/1", "covers all IPv4 addresses in their IPv6 form"],
    ["10.0.0.0/33", "has no prefix length from 1 to 32"],
    ["fd00::/129", "has no prefix length from 1 to 128"],
    ["10.0.0.0/", "has no prefix length from 1 to 32"],
    ["10.0.0.0/-1", "has no prefix length from 1 to 32"],
    ["10.0.0.0/8/8", "is no IP address or CIDR network"],
    ["fe80::1%eth0", "is no IP address or CIDR network"],
    ["010.0.0.1", "is no IP address or CIDR network"],
    ["proxy.example", "is no IP address or CIDR network"],
    ["", "is no IP address or CIDR network"],
  ])("%j %s", (network, problem) => {
    expect(addressRangeProblem(network)).toBe(problem);
    expect(() => parseAddressRanges([network])).toThrow(problem);
  });
});
