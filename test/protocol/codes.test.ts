import { describe, expect, it } from "vitest";

import { type CloseCode, closeCodes, closeRule, retiredCloseCodes } from "../../protocol/close-codes.ts";
import { type ErrorCode, errorCodes, retiredErrorCodes } from "../../protocol/errors.ts";
import { isErrorCode } from "../../protocol/frames.ts";
import { retryableErrors } from "../../protocol/retryable-errors.ts";

const closes: readonly (CloseCode & { readonly name: string })[] = Object.entries(closeCodes).map(
  ([name, code]) => ({ name, ...code }),
);
const ranges = [
  { first: 4000, reconnect: "now", need: "nothing" },
  { first: 4100, reconnect: "after", need: "nothing" },
  { first: 4200, reconnect: "now", need: "refresh" },
  { first: 4300, reconnect: "never", need: "login" },
  { first: 4400, reconnect: "never", need: "nothing" },
] as const;

describe("close codes", () => {
  it("have one number each", () => {
    expect(new Set(closes.map(({ number }) => number)).size).toBe(closes.length);
  });

  it("say their rule by their range", () => {
    for (const { name, number, reconnect, need } of closes.filter((code) => code.number >= 4000)) {
      const range = ranges.find(({ first }) => number >= first && number < first + 100);
      expect(range, name).toMatchObject({ reconnect, need });
    }
  });

  it("are followed by the table, else by the range, else by a plain retry", () => {
    for (const { number, reconnect, need } of closes) expect(closeRule(number)).toEqual({ reconnect, need });
    const known = new Set(closes.map(({ number }) => number));
    for (const { first, reconnect, need } of ranges) {
      for (const number of [first, first + 99].filter((each) => !known.has(each)))
        expect(closeRule(number), String(number)).toEqual({ reconnect, need });
    }
    for (const number of [1005, 1006, 1012, 3000, 3999, 4500, 4999])
      expect(closeRule(number), String(number)).toEqual({ reconnect: "after", need: "nothing" });
  });

  it("are numbers that an endpoint may send", () => {
    for (const { name, number } of closes) {
      const standard = number >= 1000 && number <= 1014 && ![1004, 1005, 1006].includes(number);
      expect(standard || (number >= 4000 && number <= 4499), name).toBe(true);
    }
  });

  it("have a reason that fits a close frame", () => {
    for (const { name, text } of closes) {
      expect(Buffer.byteLength(text), name).toBeLessThanOrEqual(123);
      expect(text, name).toMatch(/^[A-Z][ -~]+[^.]$/);
    }
  });

  it("do not use a retired number", () => {
    expect(closes.filter(({ number }) => retiredCloseCodes.includes(number))).toEqual([]);
  });
});

describe("error codes", () => {
  const errors: readonly (readonly [string, ErrorCode])[] = Object.entries(errorCodes);

  it("are named alike and have a text", () => {
    for (const [name, { text }] of errors) {
      expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(text).not.toBe("");
      expect(isErrorCode(name)).toBe(true);
    }
    expect(isErrorCode("toString")).toBe(false);
  });

  it("end HTTP requests with an error status", () => {
    for (const [name, { status }] of errors) expect(status >= 400 && status <= 503, name).toBe(true);
  });

  it("are never 400 or 403 when they are temporary: real clients log out on these", () => {
    for (const [name, { status, retryable }] of errors.filter(([, { retryable }]) => retryable))
      expect([409, 429, 503], `${name} ${retryable}`).toContain(status);
  });

  it("have a list of those that are temporary, for clients", () => {
    expect(retryableErrors).toEqual(errors.filter(([, { retryable }]) => retryable).map(([name]) => name));
  });

  it("do not use a retired name", () => {
    expect(errors.filter(([name]) => retiredErrorCodes.includes(name))).toEqual([]);
  });
});
