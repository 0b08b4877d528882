import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import { FormField, Handler } from "../../../protocol/flow.ts";
import { recordKeys } from "../record-keys.ts";
import { type JsonObject, readRecord, type Step, type Store } from "../store.ts";

const Text = Type.Union([Type.String(), Type.Null()]);
const Texts = Type.Record(Type.String(), Type.String());

const Placeholders = Type.Union([Texts, Type.Null()]);

/** What the client was asked last. What comes back for a form is validated against it; the others wait for something else. */
const SentStep = Type.Union([
  Type.Object({
    kind: Type.Literal("form"),
    stepId: Type.String(),
    fields: Type.Array(FormField),
    errors: Texts,
    placeholders: Placeholders,
  }),
  Type.Object({
    kind: Type.Literal("external"),
    stepId: Type.String(),
    url: Type.String(),
    placeholders: Placeholders,
  }),
  Type.Object({
    kind: Type.Literal("progress"),
    stepId: Type.String(),
    action: Type.String(),
    placeholders: Placeholders,
  }),
]);
export type SentStep = Static<typeof SentStep>;

/** How the flow ends, as it was found outside; it ends when the socket that waits for it takes that. */
const Outcome = Type.Union([
  Type.Object({ kind: Type.Literal("abort"), reason: Type.String() }),
  Type.Object({
    kind: Type.Literal("done"),
    subject: Type.String(),
    amr: Type.Array(Type.String()),
    evidence: Type.Array(Type.Object({ key: Type.String(), version: Type.Number() })),
    authenticatedAt: Type.Number(),
    /** For the audit log. */
    userId: Type.Union([Type.String(), Type.Null()]),
  }),
]);

const FlowRecord = Type.Object({
  id: Type.String(),
  /** SHA-256 of the flow secret, base64url. */
  secretHash: Type.String(),
  handler: Handler,
  purpose: Type.Union([Type.Literal("session"), Type.Literal("code")]),
  clientId: Text,
  clientName: Text,
  redirectUri: Text,
  codeChallenge: Text,
  createdAt: Type.Number(),
  /** The flow's end, whatever happens in it. */
  deadline: Type.Number(),
  attemptsLeft: Type.Integer(),
  step: SentStep,
  /** How many steps were sent out: rises with each, so that it tells two alike from each other. */
  stepNumber: Type.Integer(),
  outcome: Type.Union([Outcome, Type.Null()]),
  /** The provider's own; plain data. */
  providerState: Type.Record(Type.String(), Type.Unknown()),
  /** Until then a step is being worked on and no other begins; 0 when none is. */
  busyUntil: Type.Number(),
});

/** A login flow as it is stored. Holds no secret in clear and nothing that a person typed. */
export type Flow = Omit<Static<typeof FlowRecord>, "providerState"> & { readonly providerState: JsonObject };
const flowRecord = Compile(FlowRecord);

/** A flow at a version; version 0 was never stored. */
export interface VersionedFlow {
  readonly flow: Flow;
  readonly version: number;
}

/** Kept past the deadline, so that who comes late is told so. */
const lateMs = 60_000;
const idShape = /^[0-9a-f]{32}$/;

export function newFlowSecret(): string {
  return randomBytes(32).toString("base64url");
}

export function hashFlowSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}

/**
 * The flow, for who has its secret; undefined for an unknown flow and for a wrong secret alike, after the same
 * comparison in constant time. NOT yet verified: the deadline.
 */
export async function readFlow(
  store: Store,
  flowId: string,
  secret: string,
): Promise<VersionedFlow | undefined> {
  const record = idShape.test(flowId) ? await readRecord(store, recordKeys.flow(flowId)) : undefined;
  const value = record?.value;
  const flow = value !== undefined && isFlow(value) ? value : undefined;
  const expected = Buffer.from(flow?.secretHash ?? hashFlowSecret(""), "base64url");
  const given = Buffer.from(hashFlowSecret(secret), "base64url");
  const same = expected.length === given.length && timingSafeEqual(expected, given);
  return same && flow !== undefined && record !== undefined ? { flow, version: record.version } : undefined;
}

/** The flow, for a caller in this process that needs no secret. NOT yet verified: the deadline. */
export async function readFlowById(store: Store, flowId: string): Promise<VersionedFlow | undefined> {
  const record = idShape.test(flowId) ? await readRecord(store, recordKeys.flow(flowId)) : undefined;
  return record !== undefined && isFlow(record.value)
    ? { flow: record.value, version: record.version }
    : undefined;
}

function isFlow(value: JsonObject): value is Flow {
  return flowRecord.Check(value);
}

/** The part of a commit that writes the flow over the version that was read. */
export function writeFlowStep({ flow, version }: VersionedFlow): Step {
  const key = recordKeys.flow(flow.id);
  return {
    check: [{ key, version }],
    put: [{ key, value: { ...flow }, expiresAt: flow.deadline + lateMs }],
  };
}

/** The part of a commit that gives the flow to the socket with this hold. Checks nothing: the last one has it. */
export function takeHoldStep({ id, deadline }: Flow, hold: string): Step {
  return { put: [{ key: recordKeys.flowHolder(id), value: { hold }, expiresAt: deadline + lateMs }] };
}

/** Whose the flow is; null while the socket that began it has it. */
export async function readHold(store: Store, flowId: string): Promise<string | null> {
  const record = await readRecord(store, recordKeys.flowHolder(flowId));
  return typeof record?.value.hold === "string" ? record.value.hold : null;
}

/** The part of a commit that ends the flow at the version that was read. */
export function endFlowStep({ flow, version }: VersionedFlow): Step {
  const key = recordKeys.flow(flow.id);
  return { check: [{ key, version }], remove: [key] };
}
