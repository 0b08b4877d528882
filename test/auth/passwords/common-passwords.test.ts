import { describe, expect, it, vi } from "vitest";

import type { AuthError } from "../../../src/auth/errors.ts";
import { createCommonPasswords } from "../../../src/auth/passwords/common-passwords.ts";

describe("the list of common passwords", () => {
  it("is not read on the event loop's thread: the package takes 0.1 s", async () => {
    vi.doMock("@zxcvbn-ts/language-common", () => {
      throw new Error("loaded on the event loop's thread");
    });
    try {
      vi.resetModules();
      const { isCommonPassword } = await import("../../../src/auth/passwords/common-passwords.ts");
      expect(await isCommonPassword("Sunshine1")).toBe(true);
      expect(await isCommonPassword("a-lantern-of-my-own")).toBe(false);
    } finally {
      vi.doUnmock("@zxcvbn-ts/language-common");
    }
  });

  it("is read once, also for several passwords at once", async () => {
    let reads = 0;
    const isCommon = createCommonPasswords(async () => {
      reads += 1;
      return Buffer.from("\nsunflower\nümlaut\n");
    });
    expect(await Promise.all(["Sunflower", "sunflowe", "ÜMLAUT", "flower"].map(isCommon))).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(reads).toBe(1);
  });

  it("that could not be read is `unavailable`, and is read again for the next password", async () => {
    const answers = [new Error("no thread"), Buffer.from("\nsunflower\n")];
    const isCommon = createCommonPasswords(async () => {
      const answer = answers.shift();
      if (!(answer instanceof Buffer)) throw answer;
      return answer;
    });
    expect(await isCommon("sunflower").catch((error: unknown) => (error as AuthError).code)).toBe(
      "unavailable",
    );
    expect(await isCommon("sunflower")).toBe(true);
  });
});
