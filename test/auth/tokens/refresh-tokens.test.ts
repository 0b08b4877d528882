import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";

import { createRefreshTokens } from "../../../src/auth/tokens/refresh-tokens.ts";
import { createSealing } from "../../../src/auth/tokens/sealing.ts";
import { hexId } from "./installation.ts";

const secret = randomBytes(32);
const tokens = createRefreshTokens(createSealing(secret));
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

describe("refresh tokens", () => {
  it.each([0, 1, 255, 65_536, 2 ** 31, 2 ** 32 - 1])("contain session and generation %d", (generation) => {
    const sessionId = hexId();
    const token = tokens.issue(sessionId, generation);
    expect(token).toMatch(/^ghr_[A-Za-z0-9_-]{50}$/);
    expect(tokens.read(token)).toEqual({ sessionId, generation });
  });

  it("are read after a restart, and on every node with the same secret", () => {
    const sessionId = hexId();
    const token = tokens.issue(sessionId, 7);
    const other = createRefreshTokens(createSealing(Uint8Array.from(secret)));
    expect(other.read(token)).toEqual({ sessionId, generation: 7 });
    expect(other.issue(sessionId, 7)).toBe(token);
  });

  it("refuses every change of every single character, including other encodings of the last one", () => {
    const token = tokens.issue(hexId(), 3);
    const accepted: string[] = [];
    for (let at = 0; at < token.length; at++) {
      const folded = [0x100, 0xff00].map((plus) => String.fromCharCode(token.charCodeAt(at) + plus));
      for (const character of [...alphabet, "+", "/", "=", " ", "\n", "", "\0", ...folded]) {
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        if (changed !== token && tokens.read(changed)) accepted.push(changed);
      }
    }
    expect(accepted).toEqual([]);
  });

  it("refuses another session's or generation's MAC", () => {
    const bytes = (token: string) => Buffer.from(token.slice(4), "base64url");
    const mine = bytes(tokens.issue(hexId(), 3));
    for (const theirs of [
      bytes(tokens.issue(hexId(), 3)),
      bytes(tokens.issue(mine.toString("hex", 1, 17), 4)),
    ]) {
      const mixed = Buffer.concat([mine.subarray(0, 21), theirs.subarray(21)]);
      expect(tokens.read(`ghr_${mixed.toString("base64url")}`)).toBeUndefined();
    }
  });

  it("refuses another installation's token, and everything that is not a token", () => {
    const foreign = createRefreshTokens(createSealing(randomBytes(32))).issue(hexId(), 1);
    const token = tokens.issue(hexId(), 1);
    const garbage = [
      "",
      "ghr_",
      "ghr",
      token.slice(4),
      token.toUpperCase(),
      `${token}A`,
      ` ${token}`,
      `${token}\n`,
    ];
    for (const bad of [
      foreign,
      ...garbage,
      "x".repeat(100_000),
      `ghr_${"A".repeat(50)}`,
      `ghr_${"\u{1F511}".repeat(25)}`,
    ])
      expect(tokens.read(bad)).toBeUndefined();
  });

  it("issues nothing for a session or generation that does not fit", () => {
    for (const id of ["", "abc", "A".repeat(32), "g".repeat(32), `${hexId()}00`])
      expect(() => tokens.issue(id, 0)).toThrow();
    for (const generation of [-1, 1.5, 2 ** 32, Number.NaN])
      expect(() => tokens.issue(hexId(), generation)).toThrow();
  });
});
