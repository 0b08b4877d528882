import { describe, expect, it } from "vitest";

import { isLocalAddress } from "../../src/net/local-address.ts";

describe("a local address", () => {
  it.each([
    ...["127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"],
    ...["169.254.1.1", "::1", "fe80::1", "febf::1", "fe80::1%eth0", "fd00::1", "fdff::1"],
    ...["::ffff:10.0.0.1", "::ffff:7f00:1", "::ffff:192.168.1.1"],
  ])("is %s", (address) => {
    expect(isLocalAddress(address)).toBe(true);
  });

  it.each([
    ...["8.8.8.8", "172.15.255.255", "172.32.0.0", "192.169.0.1", "11.0.0.1", "128.0.0.1", "169.255.0.1"],
    ...["0.0.0.0", "::", "fc00::1", "fec0::1", "2001:db8::1", "::ffff:8.8.8.8", "100.64.0.1"],
    ...["", "localhost", "10.0.0.1.evil.example", "010.0.0.1", "10.1", "%", "%eth0", "10.0.0.1:80", "[::1]"],
    ...["1".repeat(100_000), "::ffff:10.0.0.1.2", "10.0.0.1\0"],
  ])("is not %s", (address) => {
    expect(isLocalAddress(address)).toBe(false);
  });
});
