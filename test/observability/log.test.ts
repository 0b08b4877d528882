import { readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import { createLog } from "../../src/observability/log.ts";
import { redact, redactText } from "../../src/observability/redaction.ts";
import { startProcess, type TestProcess } from "../support/child-process.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

function capture(level: "info" | "debug" | "silent" = "info") {
  const lines: string[] = [];
  const log = createLog({ level, sink: { write: (line: string) => void lines.push(line) } });
  return { log, lines };
}

const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ";
const authorizationCode = "0123456789abcdef0123456789abcdef";

describe("the log", () => {
  it("writes one JSON object a line, with level by name and time in ISO 8601", () => {
    const { log, lines } = capture();
    log.info({ user_id: "u1" }, "hello");
    log.debug({}, "too fine");
    expect(lines).toHaveLength(1);
    const entry = JSON.parse(lines[0] ?? "");
    expect(entry).toMatchObject({ level: "info", user_id: "u1", msg: "hello" });
    expect(new Date(entry.time).toISOString()).toBe(entry.time);
    expect(entry).not.toHaveProperty("pid");
  });

  it("breaks no line, whatever is logged", () => {
    const { log, lines } = capture();
    log.warn({ client: 'a\n{"level":"info"}\r\n\u2028\u0000\u001b[31m' }, "one\ntwo");
    const written = [...lines.join("").trimEnd()];
    expect(written.filter((character) => character < " " || character === "\u007f")).toEqual([]);
    expect(JSON.parse(lines.join("")).msg).toBe("one\ntwo");
  });

  it("does not fail on what cannot be written", () => {
    const { log, lines } = capture();
    const circle: Record<string, unknown> = { big: 10n, when: Symbol("s"), run: () => 1 };
    circle.self = circle;
    log.error(circle, "circle");
    log.error({ bytes: Buffer.from("canary-bytes"), list: Array(1000).fill("x") }, "bytes");
    const throwing = () => {
      throw new Error("canary");
    };
    log.error({ toJSON: throwing }, "toJSON");
    log.error(Object.defineProperty({}, "a", { get: throwing, enumerable: true }), "getter");
    expect(lines).toHaveLength(4);
    expect(lines.join("")).not.toContain("canary");
  });
});

describe("the log of a process", () => {
  let writer: TestProcess | undefined;
  afterEach(async () => {
    writer?.kill("SIGKILL");
    await writer?.exited;
  });
  const script = new URL("./log-process.ts", import.meta.url);
  const start = (...args: string[]) => {
    writer = startProcess({ script, args });
    return writer;
  };
  /** No busy machine takes longer, ms. */
  const patience = "60000";
  const numbersIn = ({ stderr }: TestProcess, text: string) =>
    stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { number: number; text: string })
      .map((line) => (line.text === text ? line.number : `${line.number}: ${line.text}`));

  it("has every line once and in order, as UTF-8, over many batches", async () => {
    const text = "ü🙂€".repeat(500);
    const process = start("400", text, "exit", patience);
    expect(await within(process.exited, "the exit")).toBe(0);
    expect(numbersIn(process, text)).toEqual(Array.from({ length: 400 }, (_, number) => number));
  });

  it("has a few lines soon, long before a batch is full", async () => {
    const process = start("3", "few", "stay");
    await eventually("the lines", () => process.stderr.includes('"number":2'));
    expect(numbersIn(process, "few")).toEqual([0, 1, 2]);
  });

  it("does not end or hang the process if the reader of a socket went away", async () => {
    const process = start("2000", "x".repeat(1_000), "exit", patience);
    process.stopReading();
    await process.line(/^flushed$/);
    expect(await within(process.exited, "the exit")).toBe(0);
  });

  it("has every line also if its reader is slow, and the process ends meanwhile", async () => {
    const text = "x".repeat(200);
    const folder = temporaryFolder();
    try {
      const file = path.join(folder.path, "log");
      const stderrReader = `(sleep 0.3; cat > '${file}')`;
      writer = startProcess({ script, args: ["4000", text, "exit", patience], stderrReader });
      expect(await within(writer.exited, "the exit")).toBe(0);
      const read = readFileSync(file, "utf8").trimEnd().split("\n");
      expect(read.map((line) => (JSON.parse(line) as { number: number }).number)).toEqual(
        Array.from({ length: 4_000 }, (_, number) => number),
      );
    } finally {
      folder.remove();
    }
  });

  it("gives the last lines up if its reader hangs, so that the process can end", async () => {
    const args = ["2000", "x".repeat(1_000), "exit", "500"];
    writer = startProcess({ script, args, stderrReader: "sleep 4" });
    await writer.line(/^stuck$/);
    expect(await within(writer.exited, "the exit")).toBe(0);
  });

  it("does not end or hang the process if the reader of a pipe went away", async () => {
    writer = startProcess({
      script,
      args: ["2000", "x".repeat(1_000), "exit", patience],
      stderrReader: "true",
    });
    await writer.line(/^flushed$/);
    expect(await within(writer.exited, "the exit")).toBe(0);
  });
});

describe("redaction", () => {
  const secretFields = [
    ...[
      "access_token",
      "accessToken",
      "refresh_token",
      "refreshToken",
      "token",
      "code_verifier",
      "codeVerifier",
    ],
    ...[
      "setup_code",
      "setupCode",
      "setupLink",
      "flow_secret",
      "flowSecret",
      "device_token",
      "deviceToken",
      "password",
      "current_password",
    ],
    ...[
      "new_password",
      "secret",
      "user_input",
      "Authorization",
      "cookie",
      "Set-Cookie",
      "authSig",
      "auth_code",
    ],
  ];
  it.each([
    ...secretFields,
    ...["client_secret", "client_assertion", "device_code", "reset_code", "client_final", "newPassword"],
  ])("masks a field called %s, also deep inside", (name) => {
    const { log, lines } = capture();
    log.info({ [name]: "canary-1", a: { b: [{ [name]: { c: "canary-2" } }] } }, "x");
    expect(lines.join("")).not.toContain("canary");
    expect(lines.join("")).toContain("[redacted]");
  });

  it("tells an error's code from an authorization code", () => {
    expect(redact({ code: "invalid_grant" })).toEqual({ code: "invalid_grant" });
    expect(redact({ code: "ECONNREFUSED" })).toEqual({ code: "ECONNREFUSED" });
    expect(redact({ code: "ERR_SOCKET_CLOSED" })).toEqual({ code: "ERR_SOCKET_CLOSED" });
    expect(redact({ code: 4301 })).toEqual({ code: 4301 });
    expect(redact({ code: authorizationCode })).toEqual({ code: "[redacted]" });
    expect(redact({ code: `a${authorizationCode.slice(1)}` })).toEqual({ code: "[redacted]" });
  });

  it.each([
    ["a JWT", `refused ${jwt} here`, "refused [token] here"],
    ["a bearer header", "authorization: Bearer canary", "authorization: Bearer [redacted]"],
    [
      "a store URL",
      "cannot reach redis://user:canary@host:6379/0",
      "cannot reach redis://[redacted]@host:6379/0",
    ],
    ["a signed path", "/api/?authSig=canary&w=1", "/api/?authSig=[redacted]&w=1"],
    [
      "a form",
      "grant_type=refresh_token&refresh_token=canary",
      "grant_type=refresh_token&refresh_token=[redacted]",
    ],
    [
      "a client's secret",
      "client_secret=canary&id_token_hint=canary",
      "client_secret=[redacted]&id_token_hint=[redacted]",
    ],
    ["a set-up link", "http://h/setup#code=canary", "http://h/setup#code=[redacted]"],
    ["plain text", "user u1 from 10.0.0.1", "user u1 from 10.0.0.1"],
  ])("masks %s inside a text", (_name, text, shown) => expect(redactText(text)).toBe(shown));

  it("masks a URL that is logged as an object, and a secret where a long text is cut", () => {
    const { log, lines } = capture();
    log.info(
      { url: new URL("https://u:canary@host/?code=canary1"), text: `${"x ".repeat(2_030)}${jwt}` },
      "x",
    );
    expect(lines.join("")).not.toMatch(/canary|eyJ/);
    expect(lines.join("")).toContain("host");
  });

  it("masks secrets in errors, their causes and their stacks", () => {
    const { log, lines } = capture();
    const cause = new Error("redis://u:canary@h is away");
    const error = new AuthError("unavailable", { detail: `token ${jwt}`, cause });
    log.error({ err: error }, `failed: Bearer canary`);
    const entry = JSON.parse(lines.join(""));
    expect(lines.join("")).not.toMatch(/canary|eyJ/);
    expect(entry.err).toMatchObject({ name: "AuthError", code: "unavailable", cause: { name: "Error" } });
    expect(entry.err.stack).toContain("log.test.ts");
  });

  it("cuts what is huge", () => {
    const { log, lines } = capture();
    log.info({ text: "x".repeat(100_000) }, "x");
    expect(lines.join("").length).toBeLessThan(5000);
  });
});
