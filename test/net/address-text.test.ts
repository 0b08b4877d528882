import { describe, expect, it } from "vitest";
import { addressOfBytes, plainAddress } from "../../src/net/address-text.ts";

const bytes = (...groups: number[]) =>
  Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])).buffer;

describe("client addresses", () => {
  it("of four bytes are dotted", () => {
    expect(addressOfBytes(Uint8Array.of(192, 0, 2, 1).buffer)).toBe("192.0.2.1");
  });

  it.each([
    ["127.0.0.1", bytes(0, 0, 0, 0, 0, 0xffff, 0x7f00, 1)],
    ["::1", bytes(0, 0, 0, 0, 0, 0, 0, 1)],
    ["::", bytes(0, 0, 0, 0, 0, 0, 0, 0)],
    ["2001:db8::", bytes(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)],
    ["2001:db8::1:0:0:1", bytes(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1)],
    ["2001:0:0:1::2", bytes(0x2001, 0, 0, 1, 0, 0, 0, 2)],
    ["2001:db8:0:1:1:1:1:1", bytes(0x2001, 0xdb8, 0, 1, 1, 1, 1, 1)],
    ["fe80::abcd", bytes(0xfe80, 0, 0, 0, 0, 0, 0, 0xabcd)],
  ])("are written as Node writes %s", (text, buffer) => {
    expect(addressOfBytes(buffer)).toBe(text);
  });

  it("lose the mapping and the zone of Node's text", () => {
    expect(plainAddress("::ffff:10.0.0.1")).toBe("10.0.0.1");
    expect(plainAddress("fe80::1%eth0")).toBe("fe80::1");
    expect(plainAddress("2001:db8::1")).toBe("2001:db8::1");
  });
});
