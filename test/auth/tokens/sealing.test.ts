import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import { createSealing } from "../../../src/auth/tokens/sealing.ts";

const secret = randomBytes(32);
const sealing = createSealing(secret);
const plaintext = Buffer.from("the seed of a one-time code");

function refusal(open: () => unknown): AuthError {
  try {
    open();
  } catch (error) {
    if (error instanceof AuthError) return error;
    throw error;
  }
  throw new Error("the box was opened");
}

describe("sealing", () => {
  it("opens what it sealed, also after a restart with the same secret", () => {
    const box = sealing.seal("totp:1", plaintext);
    expect(createSealing(Uint8Array.from(secret)).open("totp:1", box)).toEqual(plaintext);
    expect(sealing.open("empty", sealing.seal("empty", new Uint8Array()))).toHaveLength(0);
  });

  it("never makes the same box twice, and reveals nothing of the plaintext", () => {
    const boxes = new Set(Array.from({ length: 100 }, () => sealing.seal("totp:1", plaintext)));
    expect(boxes.size).toBe(100);
    for (const box of boxes) expect(Buffer.from(box, "base64url").includes("seed")).toBe(false);
  });

  it("refuses a box that was moved to another record", () => {
    const error = refusal(() => sealing.open("totp:2", sealing.seal("totp:1", plaintext)));
    expect(error.code).toBe("unavailable");
    expect(error.detail).toContain("totp:2");
  });

  it("refuses a box of another installation, and tells the operator why", () => {
    const error = refusal(() =>
      createSealing(randomBytes(32)).open("totp:1", sealing.seal("totp:1", plaintext)),
    );
    expect(error.code).toBe("unavailable");
    expect(error.detail).toContain("another secret");
  });

  it("refuses every changed bit, every truncation and every other encoding", () => {
    const box = sealing.seal("totp:1", plaintext);
    const bytes = Buffer.from(box, "base64url");
    const changed = [...bytes].flatMap((_, at) =>
      [1, 16, 128].map((bit) => {
        const copy = Buffer.from(bytes);
        copy[at] = (copy[at] ?? 0) ^ bit;
        return copy.toString("base64url");
      }),
    );
    const cuts = [...bytes.keys()].map((end) => bytes.subarray(0, end).toString("base64url"));
    const spellings = ["", `${box}=`, ` ${box}`, `${box}\n`, `${box}AA`, bytes.toString("hex"), `${box}.`];
    for (const bad of [...changed, ...cuts, ...spellings])
      expect(refusal(() => sealing.open("totp:1", bad)).code).toBe("unavailable");
  });

  it("derives one key per label, the same on every node", () => {
    expect(createSealing(secret).derive("a")).toEqual(sealing.derive("a"));
    expect(sealing.derive("a")).toHaveLength(32);
    expect(sealing.derive("a")).not.toEqual(sealing.derive("b"));
    expect(createSealing(randomBytes(32)).derive("a")).not.toEqual(sealing.derive("a"));
  });

  it("keeps a copy of the secret, so that the caller can wipe its own", () => {
    const own = Uint8Array.from(secret);
    const copy = createSealing(own);
    own.fill(0);
    expect(copy.derive("a")).toEqual(sealing.derive("a"));
  });

  it("refuses a secret of fewer than 32 bytes without showing it", () => {
    const error = refusal(() => createSealing(Buffer.from("canary-secret")));
    expect(error.code).toBe("unavailable");
    expect(`${error.message} ${error.detail}`).not.toContain("canary");
  });
});
