import { createHash, pbkdf2Sync, randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";

import { readHash } from "../../../src/auth/passwords/imported/hash-encodings.ts";
import { importBounds, problemOfCosts } from "../../../src/auth/passwords/imported/import-bounds.ts";
import type { ImportedCost } from "../../../src/auth/passwords/imported/imported-cost.ts";
import {
  type ImportedHash,
  importedFromJson,
  importedToJson,
} from "../../../src/auth/passwords/imported/imported-hash.ts";
import { startKdfThread } from "../../../src/auth/passwords/kdf-thread.ts";
import { createPasswords } from "../../../src/auth/passwords/passwords.ts";

const quick = { N: 16, r: 8, p: 1 };
const work: unknown[] = [];
const passwords = createPasswords({
  parameters: quick,
  workers: 1,
  queueLimitPerKey: 64,
  startThread() {
    const thread = startKdfThread();
    const post = thread.postMessage.bind(thread);
    thread.postMessage = (job: { runs: readonly object[] }, moved?: never) => {
      work.push(job.runs);
      post(job, moved);
    };
    return thread;
  },
});
afterAll(() => passwords.close());
const place = { key: "k", reserved: true };

function hashOf(text: string): ImportedHash {
  const read = readHash(text);
  if ("problem" in read) throw new Error(read.problem);
  return read;
}

const isRight = async (password: string, text: string) =>
  await passwords.verify(password, hashOf(text), place);

/** Of the projects that are named; the last ones by Python's bcrypt 5.0. */
const vectors: readonly (readonly [from: string, password: string, text: string])[] = [
  [
    "the reference implementation of Argon2",
    "password",
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
  ],
  [
    "the reference implementation of Argon2",
    "password",
    "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
  ],
  [
    "passlib's documentation",
    "password",
    "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
  ],
  [
    "passlib's documentation",
    "password",
    "$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
  ],
  ["Django's tests", "lètmein", "pbkdf2_sha256$1000000$seasalt$r1uLUxoxpP2Ued/qxvmje7UH9PUJBkRrvf9gGPL7Cps="],
  ["pyca/bcrypt's tests", "Kk4DQuMMfZL9o", "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm"],
  ["bcrypt 5.0", "a\0b", "$2b$04$cVWp4XaNU8a4v1uMRum2SOU0pRx9hsjLxDkrYvkZvR0jwk2tVpJle"],
  ["bcrypt 5.0", "a".repeat(72), "$2a$04$cVWp4XaNU8a4v1uMRum2SOtrh/N7b3Q2GpXC./QQpQqEdm89iFMka"],
];

describe("an imported hash", () => {
  it("of bcrypt stays if it does not say whether all of the password is right", async () => {
    const [, text = ""] = vectors.at(-1)?.slice(1) ?? [];
    for (const [password, outdated] of [
      ["a".repeat(72), true],
      [`${"a".repeat(72)}, and what bcrypt does not see`, false],
    ] as const)
      expect(await isRight(password, text)).toEqual({ ok: true, outdated });
  });

  it.each(vectors)("of %s checks %j", async (_, password, text) => {
    const stored = importedFromJson(importedToJson(hashOf(text)));
    const outdated = !password.includes("\0");
    expect(await passwords.verify(password, stored, place)).toEqual({ ok: true, outdated });
    expect(await passwords.verify(`${password.slice(0, -1)}#`, stored, place)).toEqual({
      ok: false,
      outdated: false,
    });
  });

  it("of bcrypt is of the first 72 bytes, as Home Assistant cuts them", async () => {
    const [, , text] = vectors.at(-1) ?? ["", "", ""];
    expect(await isRight(`${"a".repeat(72)} and more`, text)).toMatchObject({ ok: true });
    expect(await isRight("a".repeat(71), text)).toMatchObject({ ok: false });
  });

  it("is of the password as it was typed, without normalisation", async () => {
    const hash = pbkdf2Sync("ﬁve½", "seasalt", 10, 32, "sha256").toString("base64");
    expect(await isRight("ﬁve½", `pbkdf2_sha256$10$seasalt$${hash}`)).toMatchObject({ ok: true });
    expect(await isRight("five1⁄2", `pbkdf2_sha256$10$seasalt$${hash}`)).toMatchObject({ ok: false });
  });

  it("is never right for an empty password, not even its own", async () => {
    const hash = pbkdf2Sync("", "seasalt", 10, 32, "sha256").toString("base64");
    expect(await isRight("", `pbkdf2_sha256$10$seasalt$${hash}`)).toMatchObject({ ok: false });
    const jBcrypt = "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.";
    expect(await isRight("", jBcrypt)).toMatchObject({ ok: false });
  });

  it("is never right for a verifier's derived key, nor a verifier for its", async () => {
    const verifier = await passwords.enrol("long enough for the rules", "k", { proven: true });
    const { salt, storedKey } = verifier;
    const scrypt: ImportedCost = { kdf: "scrypt", ...quick };
    const confused: ImportedHash = { cost: scrypt, salt, hash: storedKey };
    expect(await passwords.verify("long enough for the rules", confused, place)).toMatchObject({ ok: false });
  });
});

describe("a check", () => {
  const costs: readonly ImportedCost[] = [
    { kdf: "bcrypt", cost: 4 },
    { kdf: "argon2id", memoryKiB: 64, passes: 1, lanes: 1 },
    { kdf: "pbkdf2", digest: "sha512", iterations: 10, bytes: 64 },
    { kdf: "scrypt", N: 32, r: 8, p: 1 },
  ];
  const inUse = [quick, ...costs];

  it("runs every cost in use, whatever is stored for the name", async () => {
    const verifier = await passwords.enrol("long enough for the rules", "k", { proven: true });
    const shape = async (stored?: Parameters<typeof passwords.verify>[1]) => {
      work.length = 0;
      await passwords.verify("a wrong password", stored, place, inUse);
      // Of a hash the length differs: it is no part of the cost.
      return (work[0] as { bytes: number; kdf: string }[]).map(({ bytes, ...run }) =>
        run.kdf === "pbkdf2" ? { bytes, ...run } : run,
      );
    };
    const expected = await shape();
    expect(expected).toHaveLength(5);
    expect(await shape(verifier)).toEqual(expected);
    for (const cost of costs) {
      const hash = randomBytes(cost.kdf === "pbkdf2" ? 64 : 23).toString("base64url");
      expect(await shape({ cost, salt: randomBytes(16).toString("base64url"), hash })).toEqual(expected);
    }
  });

  it("of an unknown name runs a verifier's cost too where all passwords are imported", async () => {
    work.length = 0;
    await passwords.verify("x", undefined, place, costs);
    expect(work[0]).toHaveLength(5);
  });
});

describe("a text that is no hash to import", () => {
  const salt = "c29tZXNhbHRzb21lc2FsdA";
  const hash = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  it.each([
    ["another encoding", "$1$abc$def", "not a known encoding"],
    ["a password", "correct horse battery", "not a known encoding"],
    ["an empty one", "", "not a known encoding"],
    ["a kind of bcrypt with a fault", "$2x$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm", "$2x$"],
    ["a cut bcrypt hash", "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWL", "damaged"],
    ["costly bcrypt", "$2b$15$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm", "the bound is"],
    ["bcrypt that cannot be", "$2b$99$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm", "4 to 31"],
    ["old Argon2", `$argon2id$v=16$m=64,t=1,p=1$${salt}$${hash}`, "version 16"],
    ["Argon2 with a key", `$argon2id$v=19$m=64,t=1,p=1,keyid=Zm9v$${salt}$${hash}`, "with a key"],
    ["Argon2 of much memory", `$argon2id$v=19$m=1048576,t=1,p=1$${salt}$${hash}`, "256 MiB"],
    ["Argon2 of many passes", `$argon2id$v=19$m=65536,t=9999,p=1$${salt}$${hash}`, "the bound is"],
    ["Argon2 of more lanes than memory", `$argon2id$v=19$m=64,t=1,p=9$${salt}$${hash}`, "8 KiB"],
    ["Argon2 with a short salt", `$argon2id$v=19$m=64,t=1,p=1$c2FsdA$${hash}`, "8 bytes"],
    ["scrypt of much memory", `$scrypt$ln=20,r=8,p=1$${salt}$${hash}`, "256 MiB"],
    ["scrypt that cannot be", `$scrypt$ln=30,r=8,p=1$${salt}$${hash}`, "bounds"],
    ["PBKDF2 of many rounds", `pbkdf2_sha256$99999999$salt$${hash}`, "the bound is"],
    ["PBKDF2 of no rounds", `pbkdf2_sha256$0$salt$${hash}`, "positive"],
    ["a number that is none", `pbkdf2_sha256$${"9".repeat(400)}$salt$${hash}`, "positive"],
    ["a short hash, which guesses would match", "pbkdf2_sha256$1000$salt$AAAA", "16 to 64 bytes"],
    ["what is no base64", `$scrypt$ln=10,r=8,p=1$${salt}$%%%%`, "base64"],
  ])("is refused: %s", (_, text, reason) => {
    const read = readHash(text);
    expect(read).toEqual({ problem: expect.stringContaining(reason) });
    expect(JSON.stringify(read)).not.toContain(hash.slice(0, 12));
  });

  it("is a reason or a hash that can be stored, whatever it is", () => {
    const parts = [
      "$argon2id$",
      "$2b$",
      "$scrypt$",
      "v=19$",
      "m=64,t=1,p=1$",
      "ln=4,r=8,p=1$",
      salt,
      "$",
      "0",
      hash,
    ];
    const texts = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...parts)).map((some) => some.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const read = readHash(text);
        if (!("problem" in read)) expect(importedFromJson(importedToJson(read))).toEqual(read);
      }),
    );
  });
});

it("bounds how many costs are in use at a time, and what they take together", () => {
  const bcrypt = (cost: number): ImportedCost => ({ kdf: "bcrypt", cost });
  expect(problemOfCosts([4, 5, 6, 7].map(bcrypt))).toBeUndefined();
  expect(problemOfCosts([4, 5, 6, 7, 8].map(bcrypt))).toContain(`at most ${importBounds.kinds}`);
  const heavy: readonly ImportedCost[] = ["argon2id", "argon2i", "argon2d"].map((kdf) => ({
    kdf: kdf as "argon2id",
    memoryKiB: 262_144,
    passes: 5,
    lanes: 1,
  }));
  expect(problemOfCosts(heavy)).toContain(`${importBounds.totalMilliseconds} ms`);
});

it("says which stored hash is damaged without quoting it", () => {
  const value = importedToJson({ cost: { kdf: "bcrypt", cost: 31 }, salt: "AAAA", hash: "canary" });
  expect(() => importedFromJson(value)).toThrow(expect.objectContaining({ code: "unavailable" }));
  const text = createHash("sha256").update("canary").digest("hex");
  expect(() => importedFromJson({ ...value, cost: text })).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining("canary") }),
  );
});
