import { describe, expect, it } from "vitest";

import { addressRangeProblem, parseAddressRanges } from "../../src/net/address-ranges.ts";
import { addressShare } from "../../src/net/address-share.ts";
import { resolveClientAddress } from "../../src/net/client-address.ts";
import { isLocalAddress } from "../../src/net/local-address.ts";

const proxy = "10.0.0.1";
const stranger = "203.0.113.9";
const trusted = parseAddressRanges(["10.0.0.0/8", "fd00::/8"]);
const nobody = parseAddressRanges([]);

type Headers = Readonly<Record<string, string>>;
const resolve = (peer: string, headers: Headers, ranges = trusted) =>
  resolveClientAddress(peer, (name) => headers[name], ranges);

type Cases = readonly (readonly [value: string, client: string | null])[];

/** What stands in `X-Forwarded-For` when it comes from the proxy 10.0.0.1, and who the client is. */
const lists: Cases = [
  ["198.51.100.7", "198.51.100.7"],
  ["2001:DB8::7", "2001:db8::7"],
  ["2001:db8:0:0:0::7", "2001:db8::7"],
  ["::ffff:198.51.100.7", "198.51.100.7"],
  ["::ffff:c633:6407", "198.51.100.7"],
  ["198.51.100.7:1234", "198.51.100.7"],
  ["[2001:db8::7]", "2001:db8::7"],
  ["[2001:db8::7]:443", "2001:db8::7"],
  ["192.0.2.1, 198.51.100.7", "198.51.100.7"],
  ["192.0.2.1, 198.51.100.7, 10.2.2.2", "198.51.100.7"],
  ["192.0.2.1,198.51.100.7,fd00::2,10.2.2.2:80", "198.51.100.7"],
  ["10.5.5.5, 10.6.6.6", "10.5.5.5"],
  ["10.5.5.5", "10.5.5.5"],
  // What a stranger wrote further left decides nothing, whatever it is.
  ["x, 198.51.100.7", "198.51.100.7"],
  ["unknown, 198.51.100.7, 10.2.2.2", "198.51.100.7"],
  [",198.51.100.7", "198.51.100.7"],
  ["127.0.0.1, 10.0.0.9, 198.51.100.7", "198.51.100.7"],
  [`${"1.1.1.1, ".repeat(40)}198.51.100.7`, "198.51.100.7"],
  [`${"10.1.1.1,".repeat(300)}198.51.100.7`, "198.51.100.7"],
  // The hop that decides cannot be read.
  ...["", " ", ",", "unknown", "_hidden", "fe80::1%eth0", "[fe80::1%eth0]", "0177.0.0.1", "127.1"].map(
    unknown,
  ),
  ...["2130706433", "198.51.100.7,", "198.51.100.7,,10.0.0.2", "198.51.100.7 10.0.0.2"].map(unknown),
  ...[
    "198.51.100.256",
    "198.51.100.7\r\nx: y",
    "for=198.51.100.7",
    "2001:db8::7:80000",
    "[198.51.100.7]",
  ].map(unknown),
  ...["198.51.100.7:", "198.51.100.7:port", "unknown, 10.2.2.2", "10.0.0.1.evil.example"].map(unknown),
  ...["198.51.100.7, 10.1.1.1".padEnd(9000, " "), `198.51.100.7${",10.1.1.1".repeat(40)}`].map(unknown),
];

/** The same of `Forwarded`. */
const forwardedLists: Cases = [
  ["for=198.51.100.7", "198.51.100.7"],
  ["For=198.51.100.7;proto=https;by=10.0.0.1", "198.51.100.7"],
  ['for="198.51.100.7:80"', "198.51.100.7"],
  ['for="[2001:DB8::7]:4711"', "2001:db8::7"],
  ['for="[2001:db8::7]"; proto=http , for=10.9.9.9', "2001:db8::7"],
  ["for=192.0.2.1, for=198.51.100.7", "198.51.100.7"],
  ["for=unknown, for=198.51.100.7;", "198.51.100.7"],
  ['for="\\1\\9\\8.51.100.7"', "198.51.100.7"],
  ["for=10.5.5.5", "10.5.5.5"],
  ...["", "for=unknown", "for=_secret", "proto=https", "for=", "for", "198.51.100.7"].map(unknown),
  ...[
    'for="198.51.100.7',
    'for="x, for=198.51.100.7',
    "for=2001:db8::7",
    "for=127.0.0.1;for=198.51.100.7",
  ].map(unknown),
  ...[
    "for=198.51.100.7, proto=https",
    "for=198.51.100.7,,",
    "for = 198.51.100.7",
    "for=198.51.100.7 by=x",
  ].map(unknown),
  ...[`for="${" ".repeat(9000)}`, `${" ".repeat(8000)}x`].map(unknown),
];

function unknown(value: string): readonly [string, null] {
  return [value, null];
}

describe("behind a trusted proxy", () => {
  it.each(lists)("X-Forwarded-For %j is of %s", (value, address) => {
    const forwarding = address === null ? "unreadable" : "trusted";
    expect(resolve(proxy, { "x-forwarded-for": value })).toEqual({ address, forwarding });
  });
  it.each(forwardedLists)("Forwarded %j is of %s", (value, address) => {
    const forwarding = address === null ? "unreadable" : "trusted";
    expect(resolve(proxy, { forwarded: value })).toEqual({ address, forwarding });
  });
  it("without a header the proxy itself asks", () => {
    expect(resolve(proxy, {})).toEqual({ address: proxy, forwarding: "none" });
  });
  it.each(["x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-forwarded-proto", "via"])(
    "%s alone says that there is a client, not who",
    (name) => {
      expect(resolve(proxy, { [name]: "127.0.0.1" })).toEqual({ address: null, forwarding: "unreadable" });
    },
  );
  it("a header of no standard beside X-Forwarded-For changes nothing", () => {
    const headers = { "x-forwarded-for": "198.51.100.7", "x-real-ip": "127.0.0.1", via: "1.1 proxy" };
    expect(resolve(proxy, headers).address).toBe("198.51.100.7");
  });
  it("both standard headers must agree, since the proxy may have written one of them only", () => {
    const both = (list: string, forwarded: string) =>
      resolve(proxy, { "x-forwarded-for": list, forwarded }).address;
    expect(both("198.51.100.7", "for=198.51.100.7")).toBe("198.51.100.7");
    expect(both("198.51.100.7", "for=127.0.0.1, for=198.51.100.7;by=10.0.0.1")).toBe("198.51.100.7");
    expect(both("2001:db8:0::7", 'for="[2001:DB8::7]"')).toBe("2001:db8::7");
    expect(both("198.51.100.7", "for=127.0.0.1")).toBeNull();
    expect(both("127.0.0.1", "for=198.51.100.7")).toBeNull();
    expect(both("198.51.100.7", "nonsense")).toBeNull();
    expect(both("nonsense", "for=198.51.100.7")).toBeNull();
  });
});

describe("from anybody else", () => {
  const values = [...lists.map(([value]) => value), "127.0.0.1", "::1"];
  it.each(values)("%j makes the address unknown: the peer may be a proxy", (value) => {
    const nothing = { address: null, forwarding: "untrusted" };
    expect(resolve(stranger, { "x-forwarded-for": value })).toEqual(nothing);
    expect(resolve("127.0.0.1", { "x-forwarded-for": value }, nobody)).toEqual(nothing);
  });
  it.each([
    ...["forwarded", "x-real-ip", "x-client-ip", "cf-connecting-ip", "via", "x-cluster-client-ip", "cf-ray"],
    ...["x-original-forwarded-for", "x-forwarded-port", "x-envoy-external-address", "fastly-client-ip"],
  ])("so does %s", (name) => {
    expect(resolve("127.0.0.1", { [name]: "127.0.0.1" }, nobody).address).toBeNull();
  });
  it("a stranger cannot smuggle himself in by naming a proxy", () => {
    expect(resolve(proxy, { "x-forwarded-for": `127.0.0.1, ${stranger}, ${proxy}` }).address).toBe(stranger);
  });
  it("a connection that is gone has no address", () => {
    expect(resolve("", {})).toEqual({ address: null, forwarding: "none" });
  });
});

describe("an address that is not known", () => {
  it("is not local, is in no range, and has a share of its own", () => {
    expect(isLocalAddress(null)).toBe(false);
    expect(parseAddressRanges(["127.0.0.0/8", "0.0.0.0/1", "128.0.0.0/1"]).includes(null)).toBe(false);
    expect(addressShare(null)).toBe(addressShare(null));
    expect(addressShare(null)).not.toBe(addressShare("127.0.0.1"));
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
    ["10.0.0.0/8/8", "is not an IP address or CIDR network"],
    ["fe80::1%eth0", "is not an IP address or CIDR network"],
    ["010.0.0.1", "is not an IP address or CIDR network"],
    ["proxy.example", "is not an IP address or CIDR network"],
    ["", "is not an IP address or CIDR network"],
  ])("%j %s", (network, problem) => {
    expect(addressRangeProblem(network)).toBe(problem);
    expect(() => parseAddressRanges([network])).toThrow(problem);
  });
});
