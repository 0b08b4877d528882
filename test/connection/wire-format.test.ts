import { describe, expect, it } from "vitest";

import { fullParts, isLonger } from "../../src/connection/wire-format.ts";

describe("the size of a frame is that of its bytes", () => {
  const euros = "€".repeat(171);

  it("for the message rate", () => {
    expect(Buffer.byteLength(euros)).toBe(513);
    expect(fullParts(euros, 512)).toBe(1);
    expect(fullParts("€".repeat(170), 512)).toBe(0);
    expect(fullParts("x".repeat(511), 512)).toBe(0);
    expect(fullParts("x".repeat(1_024), 512)).toBe(2);
    expect(fullParts(new Uint8Array(1_023), 512)).toBe(1);
  });

  it("for its limit", () => {
    expect(isLonger(euros, 512)).toBe(true);
    expect(isLonger(euros, 513)).toBe(false);
    expect(isLonger(new Uint8Array(513), 512)).toBe(true);
  });
});
