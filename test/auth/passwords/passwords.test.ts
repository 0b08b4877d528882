import { spawn } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";
import type { Worker } from "node:worker_threads";
import { scrypt } from "scrypt-js";
import { afterEach, describe, expect, it } from "vitest";

import { isProofCost } from "../../../protocol/scram.ts";
import { AuthError } from "../../../src/auth/errors.ts";
import { startKdfThread } from "../../../src/auth/passwords/kdf-thread.ts";
import type { Verifier } from "../../../src/auth/passwords/passwords.ts";
import {
  createPasswords,
  type Passwords,
  type PasswordsOptions,
} from "../../../src/auth/passwords/passwords.ts";
import { within } from "../../support/within.ts";

const quick = { N: 16, r: 8, p: 1 };
const canary = "canary-horse-battery-staple";
const place = (key: string) => ({ key, reserved: false });
const k = place("k");
const opened: { close(): Promise<void> }[] = [];

function passwordsWith(options: PasswordsOptions = {}) {
  const passwords = createPasswords({ parameters: quick, workers: 1, ...options });
  opened.push(passwords);
  return passwords;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((passwords) => passwords.close()));
});

function outcomesOf(work: readonly Promise<unknown>[]) {
  return Promise.all(work.map((each) => each.then(() => "done", codeOf)));
}

function codeOf(error: unknown): string {
  return error instanceof AuthError ? error.code : "no AuthError";
}

/** Records the scrypt parameters of each job of a thread. */
function recordingThread(work: unknown[]): Worker {
  const thread = startKdfThread();
  const post = thread.postMessage.bind(thread);
  thread.postMessage = (job: { runs: readonly { N: number; r: number; p: number }[] }, moved?: never) => {
    work.push(job.runs.map(({ N, r, p }) => ({ N, r, p })));
    post(job, moved);
  };
  return thread;
}

/** RFC 5802 section 3 with another implementation of scrypt. */
async function keysByScryptJs(password: string, { salt, N, r, p }: Verifier) {
  const text = Buffer.from(password.normalize("NFKC"));
  const salted = await scrypt(text, Buffer.from(salt, "base64url"), N, r, p, 32);
  const mac = (name: string) => createHmac("sha256", salted).update(name).digest();
  const storedKey = createHash("sha256").update(mac("Client Key")).digest("base64url");
  return { storedKey, serverKey: mac("Server Key").toString("base64url") };
}

describe("verifiers", () => {
  it("are RFC 5802's StoredKey and ServerKey over scrypt, as another implementation computes them", async () => {
    const verifier = await passwordsWith().enrol("Ünïcödé passphrase", "k");
    expect(verifier).toMatchObject({ ...quick, ...(await keysByScryptJs("Ünïcödé passphrase", verifier)) });
    expect(Buffer.from(verifier.salt, "base64url")).toHaveLength(16);
  });

  it("use OWASP's parameters by default", async () => {
    const passwords = createPasswords();
    opened.push(passwords);
    const verifier = await passwords.enrol(canary, "k");
    expect(verifier).toMatchObject({ N: 131_072, r: 8, p: 1 });
    expect(await passwords.verify(canary, verifier, k)).toEqual({ ok: true, outdated: false });
  });

  it("never repeat a salt", async () => {
    const passwords = passwordsWith({ queueLimitPerKey: 64 });
    const all = await Promise.all(Array.from({ length: 50 }, () => passwords.enrol(canary, "k")));
    expect(new Set(all.map(({ salt }) => salt)).size).toBe(50);
  });

  it.each([
    ["the same", canary, true],
    ["in full-width letters", "ｃａｎａｒｙ-horse-battery-staple", true],
    ["in another case", canary.toUpperCase(), false],
    ["with a space behind", `${canary} `, false],
    ["empty", "", false],
    ["longer than any password", canary.repeat(200), false],
  ])("tell a password %s", async (_name, password, ok) => {
    const passwords = passwordsWith();
    const verifier = await passwords.enrol(canary, "k");
    expect(await passwords.verify(password, verifier, k)).toEqual({ ok, outdated: false });
  });

  it("are reported as outdated if they cost more than a proof may, and today's do not", async () => {
    const costly = { N: 2 ** 16, r: 8, p: 9 };
    const provable = { N: 2 ** 15, r: 8, p: 3 };
    expect([costly, provable].map(isProofCost)).toEqual([false, true]);
    const old = await passwordsWith({ parameters: costly }).enrol(canary, "k");
    const today = passwordsWith({ parameters: provable });
    expect(await today.verify(canary, old, k)).toEqual({ ok: true, outdated: true });
  });

  it("are reported as outdated if they are weaker than the current parameters, and only after the right password", async () => {
    const old = await passwordsWith().enrol(canary, "k");
    const today = passwordsWith({ parameters: { N: 128, r: 8, p: 1 } });
    expect(await today.verify(canary, old, k)).toEqual({ ok: true, outdated: true });
    expect(await today.verify("wrong password", old, k)).toEqual({ ok: false, outdated: false });
  });

  it("if missing, cost the same one run for a wrong password", async () => {
    const passwords = passwordsWith();
    const verifier = await passwords.enrol(canary, "k");
    const before = passwords.load().runs;
    expect(await passwords.verify(canary, undefined, k)).toEqual({ ok: false, outdated: false });
    expect(passwords.load().runs - before).toBe(1);
    await passwords.verify("wrong password", verifier, k);
    expect(passwords.load().runs - before).toBe(2);
  });

  it.each([["old"], ["new"], ["unlisted"], ["unknown"]])(
    "the work for a name that is %s is one run with each set of parameters that is in use",
    async (kind) => {
      const sets = [quick, { N: 64, r: 8, p: 1 }, { N: 32, r: 4, p: 2 }];
      const verifiers = {
        old: await passwordsWith().enrol(canary, "k"),
        new: await passwordsWith({ parameters: sets[2] ?? quick }).enrol(canary, "k"),
        unlisted: await passwordsWith({ parameters: { N: 8, r: 8, p: 1 } }).enrol(canary, "k"),
        unknown: undefined,
      };
      const verifier = verifiers[kind as keyof typeof verifiers];
      const work: unknown[] = [];
      const passwords = passwordsWith({ startThread: () => recordingThread(work) });
      for (const password of [canary, "wrong password"]) {
        const { ok } = await passwords.verify(password, verifier, k, sets);
        expect(ok).toBe(verifier !== undefined && password === canary);
      }
      const runs = kind === "unlisted" ? [...sets, { N: 8, r: 8, p: 1 }] : sets;
      expect(work).toEqual([runs, runs]);
    },
  );

  it("refuses parameters that are not sane", () => {
    for (const parameters of [
      { N: 100, r: 8, p: 1 },
      { N: 2 ** 21, r: 8, p: 1 },
      { N: 2 ** 17, r: 0, p: 1 },
    ]) {
      expect(() => createPasswords({ parameters })).toThrow(RangeError);
    }
  });
});

describe("rules", () => {
  const refused: readonly [string, string][] = [
    ["too short", "1ab!xyz"],
    ["too short in characters, though long in bytes", "😀".repeat(7)],
    ["too long after NFKC", "\ufdfa".repeat(100)],
    ["too long", "x".repeat(1025)],
    ["half of a surrogate pair", `abcdefgh\ud800`],
    ["a common one", "Password123"],
    ["a common one with digits in their order", "Password1234567"],
    ["a common one twice", "iloveyouiloveyou"],
    ["a common one twice, with a digit", "passwordPassword1"],
    ["the name of the product with any digits", "HomeAssistant20261130"],
    ["one character", "aaaaaaaaaaaaaaaa"],
    ["two characters", "xyxyxyxyxyxyxyxy"],
    ["digits in their order", "1234567890123456"],
    ["the alphabet", "abcdefghijklmnop"],
    ["keys in their order", "qwertyuiopasdfgh"],
    ["keys back", "poiuytrewqpoiuytrewq"],
    ["keys of several rows", "zxcvbnmasdfghjkl"],
    ["digits and keys", "1234567qwertyui"],
    ["a common one with blanks", "sun shine sun shine"],
    ["a famous one", "correct horse battery staple"],
    ["keys of a German keyboard", "qwertzuiopasdfgh"],
    ["keys of a French keyboard", "azertyuiopqsdfgh"],
    ["keys in columns", "1q2w3e4r5t6y7u8i9o"],
    ["two characters and half of that", "121212121212121"],
    ["one character with another behind", "000000000000001"],
    ["a common one twice with a sign", "passwordpassword="],
    ["a common one with digits, twice", "admin1234admin1234"],
    ["digits twice each", "112233445566778899"],
    ["three characters again and again", "ab1ab1ab1ab1ab1"],
    ["a common one with a sign in between", "password/password"],
    ["a common one with what nobody sees", "pass\u200bword\u200bpassword"],
    ["a common one with digits in front", "123456789password"],
    ["a common one with a year and signs", "Password2026!!!!"],
    ["a common one in full-width digits", "１２３４５６７８"],
    ["the product's name and a year", "GateHouse2026!"],
  ];
  it.each(refused)("refuse a password that is %s, before any work", async (_name, password) => {
    const passwords = passwordsWith({ minLength: 8 });
    expect(await passwords.enrol(password, "k").catch(codeOf)).toBe("invalid_password");
    expect(passwords.load().runs).toBe(0);
  });

  it("say what is wrong", async () => {
    const passwords = passwordsWith({ minLength: 8 });
    const messageOf = (password: string) =>
      passwords.check(password).catch((error: unknown) => (error as AuthError).publicMessage);
    expect(await messageOf("1ab!xyz")).toBe("Password must have at least 8 characters");
    expect(await messageOf("sunshine1")).toBe("Password is a common one, or a simple pattern");
    expect(await messageOf("abcdefghijklmnopq")).toBe("Password is a common one, or a simple pattern");
    expect(await messageOf("gatehouse of my own")).toBeUndefined();
    expect(await messageOf("qwertz of my own")).toBeUndefined();
  });

  it("demand 15 characters unless they are told otherwise", async () => {
    expect(await passwordsWith().check("x7-kitten-roof").catch(codeOf)).toBe("invalid_password");
    expect(await passwordsWith().check("x7-kitten-roof!")).toBeUndefined();
  });

  it("allow any other kind of characters", async () => {
    const passwords = passwordsWith({ minLength: 8 });
    for (const password of [
      "8 blanks of mine",
      "パスワードは秘密",
      "a\u0000x\nq\tm~e",
      "xö-yz7 ".repeat(128),
    ]) {
      expect(await passwords.verify(password, await passwords.enrol(password, "k"), k)).toMatchObject({
        ok: true,
      });
    }
  });

  it("do not apply the current length to a proven password", async () => {
    const passwords = passwordsWith({ minLength: 8 });
    const verifier = await passwords.enrol("short", "k", { proven: true });
    expect(await passwords.verify("short", verifier, k)).toMatchObject({ ok: true });
  });
});

describe("the queue", () => {
  it("is bounded and refuses at once when it is full", async () => {
    const passwords = passwordsWith({ queueLimit: 4 });
    const burst = Array.from({ length: 40 }, (_, at) => passwords.verify("x", undefined, place(`k${at}`)));
    expect(passwords.load().waiting).toBe(4);
    const outcomes = await outcomesOf(burst);
    expect(outcomes.filter((outcome) => outcome === "done")).toHaveLength(5);
    expect(outcomes.filter((outcome) => outcome === "overloaded")).toHaveLength(35);
    expect(passwords.load().runs).toBe(5);
  });

  it("says when to try again", async () => {
    const passwords = passwordsWith({ queueLimit: 0 });
    const refusal = await passwords.verify("x", undefined, k).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "overloaded", retryAfterSeconds: expect.any(Number) });
  });

  it("limits each key to its share, and frees the share afterwards", async () => {
    const passwords = passwordsWith();
    const burst = () => Array.from({ length: 10 }, () => passwords.verify("x", undefined, place("flood")));
    const first = await outcomesOf(burst());
    expect(first.filter((outcome) => outcome === "done")).toHaveLength(4);
    const second = await outcomesOf(burst());
    expect(second.filter((outcome) => outcome === "done")).toHaveLength(4);
  });

  it("hashes nothing for somebody who has gone meanwhile", async () => {
    const passwords = passwordsWith({ workers: 1 });
    const verifier = await passwords.enrol("a lantern of my own", "k");
    const { runs } = passwords.load();
    let isGone = false;
    const left = { key: "left", reserved: false, isGone: () => isGone };
    const stayed = { key: "stayed", reserved: false };
    const first = passwords.verify("a lantern of my own", verifier, stayed);
    const others = [1, 2, 3].map(() => passwords.verify("a lantern of my own", verifier, left).catch(codeOf));
    const last = passwords.verify("a lantern of my own", verifier, stayed);
    isGone = true;
    expect(await Promise.all([first, last])).toMatchObject([{ ok: true }, { ok: true }]);
    expect(await Promise.all(others)).toEqual(["overloaded", "overloaded", "overloaded"]);
    expect(passwords.load().runs - runs).toBe(2);
  });

  it("serves keys in turn, so that a flood delays another by one job", async () => {
    const passwords = passwordsWith({ queueLimitPerKey: 8 });
    const order: string[] = [];
    const log = (name: string) => passwords.verify("x", undefined, place(name)).then(() => order.push(name));
    const flood = Array.from({ length: 8 }, () => log("flood"));
    await Promise.all([...flood, log("person")]);
    expect(order.indexOf("person")).toBeLessThanOrEqual(2);
  });

  it("accepts a new key when few keys fill it, and evicts an item of the key with the most", async () => {
    const passwords = passwordsWith({ queueLimit: 8, queueLimitPerKey: 4 });
    const four = (key: string) =>
      Array.from({ length: 4 }, () => passwords.verify("x", undefined, place(key)));
    const flood = outcomesOf(["a", "b", "c"].flatMap(four));
    expect(passwords.load().waiting).toBe(8);
    expect(await outcomesOf([passwords.verify("x", undefined, place("person"))])).toEqual(["done"]);
    const outcomes = await flood;
    expect(outcomes.filter((outcome) => outcome === "done")).toHaveLength(8);
    expect(outcomes.filter((outcome) => outcome === "overloaded")).toHaveLength(4);
    expect(await outcomesOf(four("b"))).toEqual(["done", "done", "done", "done"]);
  });

  it("has a reserved queue, which a full unreserved queue does not delay", async () => {
    const passwords = passwordsWith({ queueLimit: 16, queueLimitPerKey: 1 });
    const order: string[] = [];
    const ask = (key: string, reserved: boolean) =>
      passwords.verify("x", undefined, { key, reserved }).then(() => order.push(key));
    const strangers = Array.from({ length: 17 }, (_, at) => ask(`stranger ${at}`, false));
    expect(await outcomesOf([passwords.verify("x", undefined, place("one more"))])).toEqual(["overloaded"]);
    await Promise.all([...strangers, ask("owner", true)]);
    expect(order.indexOf("owner")).toBeLessThanOrEqual(2);
  });

  it("serves the unreserved queue every fourth time while the reserved one is full", async () => {
    const passwords = passwordsWith({ queueLimitPerKey: 32 });
    const order: string[] = [];
    const ask = (key: string, reserved: boolean) =>
      passwords.verify("x", undefined, { key, reserved }).then(() => order.push(key));
    const busy = Array.from({ length: 16 }, () => ask("busy", true));
    await Promise.all([...busy, ask("stranger", false)]);
    expect(order.indexOf("stranger")).toBeLessThanOrEqual(5);
  });

  it("leaves the event loop free while it hashes", async () => {
    const passwords = passwordsWith({ parameters: { N: 2 ** 16, r: 8, p: 1 } });
    let turns = 0;
    let hashing = true;
    const turn = () => {
      turns += 1;
      if (hashing) setImmediate(turn);
    };
    setImmediate(turn);
    await passwords.verify("x", undefined, k);
    hashing = false;
    expect(turns).toBeGreaterThan(50);
  });
});

describe("threads", () => {
  function spied() {
    const threads: Worker[] = [];
    const startThread = () => {
      const thread = startKdfThread();
      threads.push(thread);
      return thread;
    };
    return { threads, startThread };
  }

  /** Hashes at once: nothing is asked of a password that was proved. */
  const begin = (passwords: Passwords) => passwords.enrol(canary, "k", { proven: true });

  it("start on demand, and start again after one has ended with its job", async () => {
    const { threads, startThread } = spied();
    const passwords = passwordsWith({ startThread, parameters: { N: 2 ** 15, r: 8, p: 1 } });
    expect(threads).toHaveLength(0);
    const lost = begin(passwords).catch((error: unknown) => error);
    const waiting = begin(passwords);
    await threads[0]?.terminate();
    const error = await within(lost, "the refusal of the lost job");
    expect(error).toMatchObject({ code: "unavailable" });
    expect(await within(waiting, "the next job")).toMatchObject({ N: 2 ** 15 });
    expect(threads).toHaveLength(2);
  });

  it("that cannot start refuse their job and nothing else", async () => {
    let broken = true;
    const startThread = () => {
      if (broken) throw new Error("no more threads");
      return startKdfThread();
    };
    const passwords = passwordsWith({ startThread });
    expect(await passwords.enrol(canary, "k").catch(codeOf)).toBe("unavailable");
    broken = false;
    expect(await passwords.enrol(canary, "k")).toMatchObject(quick);
  });

  it("end with close, and waiting jobs are refused", async () => {
    const { threads, startThread } = spied();
    const passwords = passwordsWith({ startThread });
    const burst = Array.from({ length: 4 }, () => begin(passwords));
    const outcomes = outcomesOf(burst);
    const exits = threads.map((thread) => once(thread, "exit"));
    await passwords.close();
    await within(Promise.all(exits), "the end of the threads");
    expect((await outcomes).every((outcome) => outcome === "unavailable" || outcome === "done")).toBe(true);
    expect(await passwords.enrol(canary, "k").catch(codeOf)).toBe("unavailable");
  });

  it("do not keep an idle process alive", async () => {
    const source = path.resolve(import.meta.dirname, "../../../src/auth/passwords/passwords.ts");
    const program = `
      const { createPasswords } = await import(${JSON.stringify(source)});
      await createPasswords({ parameters: { N: 16, r: 8, p: 1 } }).enrol("correct horse battery", "k");
      console.log("hashed");
    `;
    const hooks = path.resolve(import.meta.dirname, "../../support/typescript.mjs");
    const child = spawn(process.execPath, ["--import", hooks, "--input-type=module", "-e", program]);
    const output = text(child.stdout);
    const [code] = await within(once(child, "exit"), "the end of the process");
    expect({ code, output: await output }).toEqual({ code: 0, output: "hashed\n" });
  });

  it("never put a password into an error", async () => {
    const { threads, startThread } = spied();
    const passwords = passwordsWith({
      startThread,
      queueLimitPerKey: 1,
      parameters: { N: 2 ** 15, r: 8, p: 1 },
    });
    const work = [begin(passwords), begin(passwords), passwords.enrol("x", "k")];
    const errors = Promise.all(work.map((each) => each.catch((error: unknown) => error)));
    await threads[0]?.terminate();
    for (const error of await errors) {
      expect(error).toBeInstanceOf(AuthError);
      if (error instanceof AuthError) expect(`${error.stack}${JSON.stringify(error)}`).not.toContain(canary);
    }
  });
});
