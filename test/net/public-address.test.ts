import { expect, it } from "vitest";

import { isPublicAddress } from "../../src/net/public-address.ts";

it.each([
  ["1.1.1.1", true],
  ["203.0.114.1", true],
  ["2606:4700::1111", true],
  ["0.0.0.0", false],
  ["10.1.2.3", false],
  ["100.64.0.1", false],
  ["127.0.0.1", false],
  ["169.254.169.254", false],
  ["172.31.0.1", false],
  ["192.168.1.1", false],
  ["198.19.0.1", false],
  ["224.0.0.1", false],
  ["255.255.255.255", false],
  ["::", false],
  ["::1", false],
  ["::ffff:127.0.0.1", false],
  ["::ffff:7f00:1", false],
  ["64:ff9b::7f00:1", false],
  ["2002:7f00:1::", false],
  ["fd00::1", false],
  ["fe80::1%eth0", false],
  ["ff02::1", false],
  ["192.0.2.1", false],
  ["198.51.100.1", false],
  ["203.0.113.1", false],
  ["::1.1.1.1", false],
  ["::ffff:1.1.1.1", false],
  ["2001::1", false],
  ["2001:1ff:ffff::1", false],
  ["2001:200::1", true],
  ["2001:db8::1", false],
  ["fec0::1", false],
  ["localhost", false],
  ["", false],
])("%s is public: %j", (address, expected) => {
  expect(isPublicAddress(address)).toBe(expected);
});
