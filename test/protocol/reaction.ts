import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";

import type { CommandContract } from "../../protocol/commands/define.ts";
import { commands } from "../../protocol/commands/index.ts";
import { Auth, Envelope } from "../../protocol/frames.ts";
import type { CloseReaction, ErrorReaction } from "./vectors.ts";

const contracts: Readonly<Record<string, CommandContract>> = commands;
const compiled = new Map<TSchema, { Check(value: unknown): boolean }>();

/** True when `value` fits `schema`. */
export function fits(schema: TSchema, value: unknown): boolean {
  const check = compiled.get(schema) ?? Compile(schema);
  compiled.set(schema, check);
  return check.Check(value);
}

const malformed: CloseReaction = {
  close: "malformed_auth",
  auth_invalid: "Auth message incorrectly formatted: ",
};
const unexpected: CloseReaction = { ...malformed, close: "unexpected_message" };

/**
 * The reaction that the protocol's text gives for the form of one message on a socket whose last id is `lastId`, written
 * from the text and the schemas alone; undefined: the form is valid.
 */
export function formReaction(
  phase: "before_auth" | "after_auth",
  message: unknown,
  lastId: number,
): CloseReaction | ErrorReaction | undefined {
  return phase === "before_auth" ? beforeAuth(message, lastId) : afterAuth(message, lastId);
}

function beforeAuth(message: unknown, lastId: number): CloseReaction | ErrorReaction | undefined {
  const type = isObject(message) ? message.type : undefined;
  if (typeof type !== "string") return malformed;
  if (type === "auth") return fits(Auth, message) ? undefined : malformed;
  if (guardOf(type) !== "anyone") return unexpected;
  return numbered(message, lastId, type);
}

function afterAuth(message: unknown, lastId: number): ErrorReaction | undefined {
  if (Array.isArray(message)) return afterAuth(isArrayOfArrays(message) ? 0 : message[0], lastId);
  const type = isObject(message) ? message.type : undefined;
  if (!fits(Envelope, message) || typeof type !== "string") return numbered(message, lastId, "");
  const guard = guardOf(type);
  if (guard === undefined || guard === "anyone") return numbered(message, lastId, undefined);
  return numbered(message, lastId, type);
}

/** The id rule, then the type, then the fields. `type` undefined: there is no such command. */
function numbered(message: unknown, lastId: number, type: string | undefined): ErrorReaction | undefined {
  const id = isObject(message) ? (message.id ?? 0) : 0;
  if (type === "" || !Number.isSafeInteger(id) || Number(id) <= 0) return { error: "invalid_format", id };
  if (Number(id) <= lastId) return { error: "id_reuse", id };
  const contract = type === undefined ? undefined : contracts[type];
  if (contract === undefined) return { error: "unknown_command", id };
  return fits(contract.params, message) ? undefined : { error: "invalid_format", id };
}

/** The last id after the message: only what reaches its command uses one up. */
export function lastIdAfter(message: unknown, phase: "before_auth" | "after_auth", lastId: number): number {
  const reaction = formReaction(phase, message, lastId);
  const counts = reaction === undefined || ("error" in reaction && reaction.error === "invalid_format");
  const id = isObject(message) ? message.id : undefined;
  return counts && fits(Envelope, message) && typeof id === "number" ? id : lastId;
}

function guardOf(type: string): string | undefined {
  return Object.hasOwn(contracts, type) ? contracts[type]?.guard : undefined;
}

function isArrayOfArrays(message: readonly unknown[]): boolean {
  return Array.isArray(message[0]);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
