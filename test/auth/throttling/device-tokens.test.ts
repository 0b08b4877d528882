import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";

import {
  createDeviceTokens,
  type DeviceAccount,
  type DeviceTokens,
} from "../../../src/auth/throttling/device-tokens.ts";
import { createSealing } from "../../../src/auth/tokens/sealing.ts";
import { handClock } from "../../support/hand-clock.ts";

const clock = handClock(Date.now());
const secret = randomBytes(32);
const on = (key: Uint8Array) => createDeviceTokens({ sealing: createSealing(key), clock });
const devices = on(secret);
const day = 86_400_000;
const account = (name: string, id: string | null = null, secretVersion = "1"): DeviceAccount => ({
  provider: ["homeassistant", id],
  name,
  secretVersion,
});

function knows(token: string, name: string, id: string | null = null, by: DeviceTokens = devices): boolean {
  const device = by.read(token);
  return device !== undefined && by.knows(device, account(name, id));
}

describe("device tokens", () => {
  it("are good for the account that logged in, at its provider only, on every node", () => {
    const token = devices.issue(account("paula"), undefined);
    expect(knows(token, "paula")).toBe(true);
    expect(knows(token, "paula", null, on(Uint8Array.from(secret)))).toBe(true);
    expect(knows(token, "olivia")).toBe(false);
    expect(knows(token, "paula", "other")).toBe(false);
  });

  it("are good for the password that was current then", () => {
    const device = devices.read(devices.issue(account("paula"), undefined));
    const isKnownWith = (secretVersion: string | undefined) =>
      device && devices.knows(device, { ...account("paula"), secretVersion });
    expect(["1", "2", undefined].map(isKnownWith)).toEqual([true, false, false]);
  });

  it("name nobody", () => {
    const token = devices.issue(account("canary"), undefined);
    const bytes = Buffer.from(token.slice(4), "base64url");
    expect(bytes.includes("canary")).toBe(false);
    const other = devices.issue(account("canary"), undefined);
    expect(devices.read(other)?.id).not.toBe(devices.read(token)?.id);
  });

  it("serve eight people of one device, and fit the protocol's bound", () => {
    let token = devices.issue(account("user 0"), undefined);
    const { id } = devices.read(token) ?? {};
    for (let user = 1; user <= 8; user += 1)
      token = devices.issue(account(`user ${user}`), devices.read(token));
    expect(devices.read(token)?.id).toBe(id);
    expect(knows(token, "user 0")).toBe(false);
    for (let user = 1; user <= 8; user += 1) expect(knows(token, `user ${user}`)).toBe(true);
    expect(token.length).toBeLessThanOrEqual(256);
  });

  it("last 365 days from the last login, and none from the future counts", () => {
    const token = devices.issue(account("paula"), undefined);
    clock.advance(200 * day);
    const renewed = devices.issue(account("paula"), devices.read(token));
    clock.advance(200 * day);
    expect([knows(token, "paula"), knows(renewed, "paula")]).toEqual([false, true]);
    clock.advance(-600 * day);
    expect(knows(renewed, "paula")).toBe(false);
    clock.advance(400 * day);
  });

  it("are refused when forged, changed, of another installation, or something else", () => {
    const token = devices.issue(account("paula"), undefined);
    expect(on(randomBytes(32)).read(token)).toBeUndefined();
    const bytes = Buffer.from(token.slice(4), "base64url");
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(devices.read(`ghd_${changed.toString("base64url")}`), String(at)).toBeUndefined();
    }
    const long = `ghd_${"A".repeat(220)}`;
    for (const garbage of ["", "ghd_", token.slice(4), `${token} `, `${token}A`, token.slice(0, -1), long])
      expect(devices.read(garbage), garbage).toBeUndefined();
  });
});
