import { describe, expect, it } from "vitest";

import { type CloseCode, closeCodes } from "../../protocol/close-codes.ts";
import type { CommandContract } from "../../protocol/commands/define.ts";
import { commands } from "../../protocol/commands/index.ts";
import { type ErrorCode, errorCodes } from "../../protocol/errors.ts";
import {
  features,
  limits,
  MSGPACK_SUBPROTOCOL,
  PROTOCOL_VERSION,
  SOCKET_PATH,
} from "../../protocol/features.ts";
import { codeSpans, parts, sectionOf, tableOf, wholeText } from "./protocol-text.ts";
import { loadVectors, type Vector } from "./vectors.ts";

const closes: Readonly<Record<string, CloseCode>> = closeCodes;
const errors: Readonly<Record<string, ErrorCode>> = errorCodes;
const contracts: Readonly<Record<string, CommandContract>> = commands;

describe("the protocol's text", () => {
  it("has an index of every part, and every part leads back to it", () => {
    const listed = tableOf("Parts", ["part", "what it says"]).map(({ part = "" }) => {
      return /^\[(.+)\]\((.+)\)$/.exec(part)?.slice(1);
    });
    const names = [...parts.keys()].filter((name) => name !== "README.md");
    expect(listed.sort()).toEqual(names.map((name) => [name, name]));
    for (const name of names)
      expect(parts.get(name), name).toContain("Part of the [Gatehouse wire protocol](README.md).");
  });

  it("writes requirements as RFC 2119 has them", () => {
    for (const [name, text] of parts) expect(text.match(/\b(must|should|shall)\b.*/g), name).toBeNull();
  });

  it("has every close code with number, text and rule, and no other", () => {
    const columns = ["number", "name", "text", "reconnect", "first needs", "when"];
    const rows = tableOf("Close codes", columns);
    const documented = rows.map(({ when, ...row }) => row);
    expect(documented).toEqual(
      Object.entries(closes).map(([name, { number, text, reconnect, need }]) => {
        return { number: String(number), name, text, reconnect, "first needs": need };
      }),
    );
    for (const { name, when } of rows) expect(when, name).not.toBe("");
  });

  it("has the ranges' rules", () => {
    for (const { range, reconnect, "first needs": need } of tableOf("Close codes", [
      "range",
      "reconnect",
      "first needs",
    ])) {
      const [first, last] = (range ?? "").split("-").map(Number);
      const inside = Object.values(closes).filter(
        ({ number }) => number >= (first ?? 0) && number <= (last ?? 0),
      );
      for (const code of inside) expect(code).toMatchObject({ reconnect, need });
    }
  });

  it("has every error code with text, status, OAuth name and retry, and no other", () => {
    const rows = tableOf("Error codes", ["code", "text", "HTTP", "OAuth", "retry", "when"]);
    expect(rows.map(({ when, ...row }) => row)).toEqual(
      Object.entries(errors).map(([code, { text, status, oauth = "", retryable }]) => {
        return { code, text, HTTP: String(status), OAuth: oauth, retry: retryable ? "yes" : "" };
      }),
    );
    for (const { code, when } of rows) expect(when, code).not.toBe("");
  });

  it("says which commands need no scope, or another one than api", () => {
    const needs = (scope: string | null) =>
      Object.entries(contracts).flatMap(([type, contract]) =>
        contract.guard !== "anyone" && contract.scope === scope ? [type] : [],
      );
    expect(needs(null)).toEqual(["ping", "supported_features", "unsubscribe_events", "auth/refresh"]);
    expect(needs("profile")).toEqual(["auth/current_user"]);
    const sentence = sectionOf("Guards").replaceAll("\n", " ");
    expect(sentence).toContain(
      "`ping`, `supported_features`, `unsubscribe_events` and `auth/refresh` need no scope, `auth/current_user` needs `profile` or `api`, and every other command needs `api`.",
    );
  });

  it("has every command with guard and fields, and only errors that exist", () => {
    const rows = tableOf("Commands", ["type", "guard", "fields", "result", "errors"]);
    expect(rows.map(({ type, guard, fields }) => ({ type, guard, fields: fieldsIn(fields ?? "") }))).toEqual(
      Object.entries(contracts).map(([type, { guard, params }]) => ({
        type,
        guard,
        fields: fieldsOf(params),
      })),
    );
    for (const { type, errors: names, result } of rows) {
      expect(result, type).not.toBe("");
      const unknown = codesIn(names ?? "").filter((name) => !Object.hasOwn(errors, name));
      expect(unknown, type).toEqual([]);
    }
  });

  it("has every limit and every feature, with its value", () => {
    expect(
      tableOf("Limits", ["name", "value", "meaning"]).map(({ name, value }) => [name, Number(value)]),
    ).toEqual(Object.entries(limits));
    expect(tableOf("Features", ["name", "meaning"]).map(({ name }) => name)).toEqual(Object.keys(features));
  });

  it("names path, subprotocol and version as the code has them", () => {
    expect(sectionOf("Transport")).toContain(`\`GET ${SOCKET_PATH}\``);
    expect(sectionOf("Transport")).toContain(`\`${MSGPACK_SUBPROTOCOL}\``);
    expect(parts.get("README.md")).toContain(`normative for protocol version ${PROTOCOL_VERSION}.`);
  });

  it("mentions close codes with their own number everywhere", () => {
    const mentions = [...wholeText.matchAll(/`([a-z_]+)`\s\((\d{4})\)/g)];
    expect(mentions.length).toBeGreaterThan(20);
    for (const [whole, name = "", number] of mentions)
      expect(String(closes[name]?.number), whole).toBe(number);
  });

  it("has no close number that is not in the table", () => {
    const known = new Set(Object.values(closes).map(({ number }) => number));
    const numbers = [...wholeText.matchAll(/(?<![\d.-])4[0-4]\d\d(?![\d-])/g)].map(([number]) =>
      Number(number),
    );
    expect(
      numbers.filter((number) => !known.has(number) && ![4000, limits.frameBeforeAuth].includes(number)),
    ).toEqual([]);
  });

  it("says the limits in its text as the code has them", () => {
    const phase = sectionOf("Before auth_ok");
    expect(phase).toContain(`more than ${limits.frameBeforeAuth} bytes`);
    expect(phase).toContain(`more than ${limits.messagesBeforeAuth} frames`);
    expect(phase).toContain(
      `within ${limits.authDeadlineMs / 1000} s; within ${limits.loginDeadlineMs / 1000} s`,
    );
    expect(phase).toContain(`The ${limits.messagesBeforeAuth} frames include`);
    expect(sectionOf("Flows")).toContain(`A flow lives ${limits.loginDeadlineMs / 1000} s`);
    expect(sectionOf("Ids")).toContain(`more than ${limits.frame} bytes`);
    expect(sectionOf("Ids")).toContain(`more than ${limits.inFlight} commands in flight`);
    expect(sectionOf("Plain data")).toContain(`deeper than ${limits.depth}`);
    expect(sectionOf("Plain data")).toContain(`more than ${limits.members} members`);
    expect(sectionOf("Suspension")).toContain(
      `at most ${limits.suspendedFrames} frames and ${limits.suspendedBytes} bytes of them`,
    );
    expect(sectionOf("Suspension")).toContain(`After ${limits.suspensionMs / 1000} s the server closes`);
    expect(sectionOf("Heartbeat")).toContain(`every ${limits.heartbeatMs / 1000} s`);
  });

  it("documents every reaction that a vector expects", () => {
    const documented = new Set(codeSpans(wholeText));
    for (const vector of loadVectors()) {
      for (const code of reactionCodes(vector)) expect(documented, vector.name).toContain(code);
    }
  });

  it("has a key of the vectors' format for every key that they use, and no other", () => {
    const used = new Set(loadVectors().flatMap(({ file, ...vector }) => Object.keys(vector)));
    const rows = tableOf("Golden vectors", ["key", "meaning"]);
    const described = rows.flatMap(({ key = "" }) => codesIn(key));
    expect(new Set(described)).toEqual(used);
  });
});

function fieldsOf(params: CommandContract["params"]): readonly string[] {
  const { properties = {}, required = [] } = params as {
    readonly properties?: object;
    readonly required?: readonly string[];
  };
  return Object.keys(properties)
    .filter((name) => name !== "id" && name !== "type")
    .map((name) => (required.includes(name) ? name : `${name}?`));
}

/** `tableOf` takes the marks away from a cell that is one code span. */
function codesIn(cell: string): readonly string[] {
  return cell.includes("`") ? codeSpans(cell) : cell === "" ? [] : [cell];
}

function fieldsIn(cell: string): readonly string[] {
  return codesIn(cell);
}

function reactionCodes({ expect: expected }: Vector): readonly string[] {
  const reaction = "accepted" in expected ? expected.answer : expected;
  if (reaction === undefined) return [];
  if ("close" in reaction) return [reaction.close];
  return "error" in reaction ? [reaction.error] : [];
}
