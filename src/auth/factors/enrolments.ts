import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Checks, JsonObject, Step, Store, StoredRecord } from "../store.ts";
import { readRecord } from "../store.ts";

/** A factor that a user has set up. */
export interface Enrolment {
  /** Random. Another set-up of the same factor has another id. */
  readonly id: string;
  /** The factor's id. */
  readonly factor: string;
  readonly createdAt: number;
  readonly data: JsonObject;
}

/** The factors of a user as they were read; version 0 if there never were any. */
export interface Enrolments {
  readonly all: readonly Enrolment[];
  readonly version: number;
}

const FactorsRecord = Compile(
  Type.Object({
    enrolments: Type.Array(
      Type.Object({
        id: Type.String(),
        factor: Type.String(),
        createdAt: Type.Number(),
        data: Type.Object({}),
      }),
    ),
  }),
);

/** Throws `unavailable` for a damaged record: nobody is let in without a factor because of it. */
export function parseEnrolments(record: StoredRecord | undefined): Enrolments {
  if (record === undefined) return { all: [], version: 0 };
  if (!FactorsRecord.Check(record.value))
    throw new AuthError("unavailable", { detail: "a record of second factors is damaged" });
  const all = record.value.enrolments.map((each) => ({ ...each, data: each.data as JsonObject }));
  return { all, version: record.version };
}

export async function readEnrolments(store: Pick<Store, "get">, userId: string): Promise<Enrolments> {
  return parseEnrolments(await readRecord(store, recordKeys.factors(userId)));
}

/** The user's factors are those that were read. */
export function enrolmentChecks(userId: string, { version }: Enrolments): Checks {
  return [{ key: recordKeys.factors(userId), version }];
}

export function newEnrolment(factor: string, data: JsonObject, createdAt: number): Enrolment {
  return { id: newId(), factor, createdAt, data };
}

/** The factors with this one, which replaces one of the same kind. */
export function withEnrolment(before: Enrolments, added: Enrolment): readonly Enrolment[] {
  return [...before.all.filter(({ factor }) => factor !== added.factor), added];
}

/**
 * The part of a commit that gives a user other factors, if the user has those that were read. Administrators get the event
 * `user_updated`.
 */
export function changeEnrolmentsStep(userId: string, before: Enrolments, after: readonly Enrolment[]): Step {
  const event: LogEvent = { type: "user_changed", userId, change: "updated", keepsRights: true };
  return { ...writeEnrolmentsStep(userId, before, after), log: [{ ...event }] };
}

/** The same without an event: the factors stay, and are only written anew. */
export function writeEnrolmentsStep(userId: string, before: Enrolments, after: readonly Enrolment[]): Step {
  const key = recordKeys.factors(userId);
  const check = enrolmentChecks(userId, before);
  if (after.length === 0) return { check, remove: [key, recordKeys.factorUses(userId)], durable: true };
  return { check, put: [{ key, value: { enrolments: after.map((each) => ({ ...each })) } }], durable: true };
}

/** What was used of a user's factors. A record of its own, so that a use does not change which factors there are. */
export interface FactorUses {
  of(enrolment: Enrolment): JsonObject | null;
  readonly version: number;
  readonly byEnrolment: JsonObject;
}

export async function readFactorUses(store: Pick<Store, "get">, userId: string): Promise<FactorUses> {
  const record = await readRecord(store, recordKeys.factorUses(userId));
  const byEnrolment = record?.value ?? {};
  return {
    byEnrolment,
    version: record?.version ?? 0,
    of: ({ id }) => (Object.hasOwn(byEnrolment, id) ? (byEnrolment[id] as JsonObject) : null),
  };
}

/**
 * The part of a commit that uses something of a factor: in conflict if anything was used, or the user's factors were
 * changed, since they were read.
 */
export function useFactorStep(
  userId: string,
  { uses, enrolments }: { readonly uses: FactorUses; readonly enrolments: Enrolments },
  { id }: Enrolment,
  used: JsonObject,
): Step {
  const key = recordKeys.factorUses(userId);
  const current = new Set(enrolments.all.map((each) => each.id));
  const kept = Object.entries(uses.byEnrolment).filter(([of]) => current.has(of));
  return {
    check: [{ key, version: uses.version }, ...enrolmentChecks(userId, enrolments)],
    put: [{ key, value: { ...Object.fromEntries(kept), [id]: used } }],
    durable: true,
  };
}
