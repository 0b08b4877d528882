import { Type } from "typebox";
import { describe, expect, it } from "vitest";

import type { CommandContract } from "../../protocol/commands/define.ts";
import { type CommandType, commands } from "../../protocol/commands/index.ts";
import { type ErrorName, errorCodes } from "../../protocol/errors.ts";
import { FlowStep } from "../../protocol/flow.ts";
import {
  AuthExpiring,
  AuthInvalid,
  AuthOk,
  AuthRequired,
  AuthResumed,
  AuthSuspended,
  Event,
  Pong,
  ResultError,
  ResultOk,
  StepUpRequired,
} from "../../protocol/frames.ts";
import { createMsgpackCodec } from "../../src/codec/msgpack.ts";
import { fits, formReaction, lastIdAfter } from "./reaction.ts";
import { framesOf, loadVectors, type Vector } from "./vectors.ts";

const contracts: Readonly<Record<string, CommandContract>> = commands;
const msgpack = createMsgpackCodec();
const vectors = loadVectors();
const fromClient = vectors.filter(({ direction }) => direction === "client");

/** Vectors whose reaction is about the form of a message, not about its encoding, size or number. */
const formed = fromClient.filter(({ expect: expected, phase }) => {
  const aboutTheFrame = ["invalid_payload", "unsupported_frame", "message_too_big", "rate_limited"];
  return phase !== "any" && !("close" in expected && aboutTheFrame.includes(expected.close));
});

function messagesOf(vector: Vector): readonly unknown[] {
  const text = framesOf(vector, "json");
  const frames = text ?? framesOf(vector, "msgpack") ?? [];
  return frames.map((frame) => (typeof frame === "string" ? JSON.parse(frame) : msgpack.decode(frame)));
}

describe("messages of clients", () => {
  it.each(formed.map((vector) => ({ vector, title: `${vector.file}: ${vector.name}` })))(
    "$title",
    ({ vector }) => {
      const phase = vector.phase === "before_auth" ? "before_auth" : "after_auth";
      const messages = messagesOf(vector);
      const message = messages.at(-1);
      const lastId = messages.slice(0, -1).reduce<number>((id, each) => lastIdAfter(each, phase, id), 0);
      const reaction = formReaction(phase, message, lastId);
      const { expect: expected } = vector;
      if ("accepted" in expected) expect(reaction).toBeUndefined();
      else expect(expected).toMatchObject(reaction ?? { accepted: true });
    },
  );

  it("cover every command: accepted, with an extra key, without each required field, and in the other phase", () => {
    const seen = (type: string, phase: string, test: (vector: Vector) => boolean) =>
      fromClient.some(
        (vector) =>
          vector.name.startsWith(`${type}`) &&
          typeIn(vector) === type &&
          vector.phase === phase &&
          test(vector),
      );
    for (const [type, { guard, params }] of Object.entries(contracts)) {
      const phase = guard === "anyone" ? "before_auth" : "after_auth";
      const lacks = (what: string) => `protocol/vectors has no vector of ${phase}: ${what}`;
      expect(
        seen(type, phase, ({ expect: expected }) => "accepted" in expected),
        lacks(`${type}, which is accepted`),
      ).toBe(true);
      expect(
        seen(type, phase, ({ name }) => name === `${type} with an extra key`),
        lacks(`${type} with an extra key`),
      ).toBe(true);
      const { required = [] } = params as { readonly required?: readonly string[] };
      for (const field of required.filter((name) => name !== "id" && name !== "type"))
        expect(
          seen(type, phase, ({ name }) => name === `${type} without ${field}`),
          lacks(`${type} without ${field}`),
        ).toBe(true);
      if (guard === "anyone")
        expect(
          seen(type, "after_auth", () => true),
          `protocol/vectors has no vector of after_auth: ${type}`,
        ).toBe(true);
    }
  });
});

describe("messages of servers", () => {
  const Message = Type.Union([
    AuthRequired,
    AuthOk,
    AuthInvalid,
    AuthExpiring,
    AuthSuspended,
    AuthResumed,
    StepUpRequired,
    ResultOk,
    ResultError,
    Event,
    Pong,
  ]);
  const fromServer = vectors.filter(({ direction }) => direction === "server");

  it.each(fromServer.map((vector) => ({ vector, title: vector.name })))(
    "$title fits its schema",
    ({ vector }) => {
      for (const message of messagesOf(vector).flat()) expect(fits(Message, message)).toBe(true);
    },
  );

  it("cover the result of every command, and each fits it", () => {
    const answered = fromServer.filter(({ answers }) => answers !== undefined);
    for (const vector of answered) {
      const [message] = messagesOf(vector) as readonly { readonly result: unknown }[];
      const contract = commands[vector.answers as CommandType];
      expect(fits(contract.result, message?.result), vector.name).toBe(true);
    }
    const types = Object.keys(commands).filter((type) => type !== "ping");
    const what = "vectors with `answers` in protocol/vectors/server.json";
    expect(new Set(answered.map(({ answers }) => answers)), what).toEqual(new Set(types));
  });

  it("cover every type of message and of step", () => {
    const messages = fromServer.flatMap(messagesOf).flat() as readonly Record<string, unknown>[];
    expect(new Set(messages.map(({ type }) => type))).toEqual(
      new Set([
        ...["auth_required", "auth_ok", "auth_invalid", "auth_expiring", "auth_suspended", "auth_resumed"],
        ...["step_up_required", "result", "event", "pong"],
      ]),
    );
    const steps = messages
      .flatMap(({ result, event }) => [result, event])
      .filter((step) => fits(FlowStep, step));
    expect(new Set(steps.map((step) => (step as { type: string }).type))).toEqual(
      new Set(["form", "external", "progress", "abort", "create_entry"]),
    );
  });
});

describe("vectors", () => {
  it("have a name of their own in their file", () => {
    const titles = vectors.map(({ file, name }) => `${file}: ${name}`);
    expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
  });

  it("have both encodings if they are canonical (npm run docs writes the msgpack)", () => {
    const half = vectors.filter(
      ({ canonical, json, msgpack }) => canonical && (json === undefined) !== (msgpack === undefined),
    );
    expect(half.map(({ file, name }) => `${file}: ${name}`)).toEqual([]);
  });

  it("expect only codes that exist", () => {
    const known = new Set<string>(Object.keys(errorCodes));
    const expected = fromClient.flatMap(({ expect: each }) => {
      const reaction = "accepted" in each ? each.answer : each;
      return reaction !== undefined && "error" in reaction ? [reaction.error satisfies ErrorName] : [];
    });
    expect(expected.filter((code) => !known.has(code))).toEqual([]);
  });
});

function typeIn(vector: Vector): unknown {
  const message = messagesOf(vector).at(-1);
  return typeof message === "object" && message !== null ? (message as { type?: unknown }).type : undefined;
}
