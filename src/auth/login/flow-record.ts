import { hash, randomBytes } from "node:crypto";
import { type Static, type TSchema, Type } from "typebox";
import { Compile } from "typebox/compile";
import { FormField, Handler } from "../../../protocol/flow.ts";
import { isSameText } from "../constant-time.ts";
import { recordKeys } from "../record-keys.ts";
import { type Checks, type JsonObject, readRecord, type Step, type Store } from "../store.ts";
import { StoredChecks } from "../stored-checks.ts";

const Text = Type.Union([Type.String(), Type.Null()]);
const Texts = Type.Record(Type.String(), Type.String());

/** The store does not write undefined members. */
const absentOr = <Schema extends TSchema>(schema: Schema) =>
  Type.Optional(Type.Union([schema, Type.Undefined()]));

const Placeholders = Type.Union([Texts, Type.Null()]);

/**
 * The last step that was sent to the client. Input is validated against a form; the other steps wait for something
 * outside.
 */
const SentStep = Type.Union([
  Type.Object({
    kind: Type.Literal("form"),
    stepId: Type.String(),
    fields: Type.Array(FormField),
    errors: Texts,
    placeholders: Placeholders,
    /** Placeholders that are secret, as a sealed box of JSON; see `sealedPlaceholders`. */
    secrets: Type.Optional(Type.String()),
    /** See `ProviderStep`; older nodes do not write it. */
    mechanisms: absentOr(Type.Array(Type.String())),
    mayBeSent: absentOr(Type.Literal(true)),
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

export const StoredProof = Type.Object({
  subject: Type.String(),
  amr: Type.Array(Type.String()),
  evidence: StoredChecks,
  authenticatedAt: Type.Number(),
  profile: absentOr(
    Type.Object({
      name: absentOr(Type.String()),
      groupIds: absentOr(Type.Array(Type.String())),
      localOnly: absentOr(Type.Boolean()),
    }),
  ),
  linkTo: absentOr(Type.String()),
  providerSession: absentOr(Type.Object({ name: Text, open: StoredChecks })),
});
export type StoredProof = Static<typeof StoredProof>;

/** The outcome of an external step. The flow ends when the socket that waits for it reads this. */
const Outcome = Type.Union([
  Type.Object({ kind: Type.Literal("abort"), reason: Type.String() }),
  Type.Object({
    kind: Type.Literal("done"),
    proof: StoredProof,
    /** For the audit log. */
    userId: Text,
  }),
]);

/** The step for a second factor that the flow is at. */
const FactorPart = Type.Object({
  userId: Type.String(),
  /** What was proved so far. */
  proof: StoredProof,
  /** `select` and `prove` for factors that the user has, `select_setup` and `setup` for one that is demanded. */
  stage: Type.Union([
    Type.Literal("select"),
    Type.Literal("prove"),
    Type.Literal("select_setup"),
    Type.Literal("setup"),
    /** The codes for the day on which the new factor is lost. */
    Type.Literal("recovery"),
  ]),
  /** Null while it is being selected. */
  factorId: Text,
  /** The factor's own; its secrets are sealed. */
  state: Type.Record(Type.String(), Type.Unknown()),
  /** The device's token, sealed; the login's end shows it. */
  deviceToken: Type.Optional(Type.String()),
  /** What the provider has to do yet, sealed. */
  pending: Type.Optional(Type.String()),
});
type StoredFactorPart = Static<typeof FactorPart>;
export type FactorPart = Omit<StoredFactorPart, "state"> & { readonly state: JsonObject };

const FlowRecord = Type.Object({
  id: Type.String(),
  /** SHA-256 of the flow secret, base64url. */
  secretHash: Type.String(),
  handler: Handler,
  purpose: Type.Union([
    Type.Literal("session"),
    Type.Literal("code"),
    Type.Literal("link"),
    Type.Literal("link_code"),
    Type.Literal("step_up"),
  ]),
  /** For `link` and `step_up`: the session that asked for it. */
  linking: Type.Union([Type.Object({ userId: Type.String(), sessionId: Type.String() }), Type.Null()]),
  /** The least assurance level that the flow ends with, if policy does not demand more; older nodes do not write it. */
  level: absentOr(Type.Union([Type.Literal(1), Type.Literal(2)])),
  /** How long before the flow the person may have authenticated at another server, s; older nodes do not write it. */
  maxAge: absentOr(Type.Number()),
  clientId: Text,
  clientName: Text,
  redirectUri: Text,
  codeChallenge: Text,
  /** What the client asked for, as it is allowed; older nodes write none of these. */
  scope: Type.Optional(Text),
  resource: Type.Optional(Text),
  nonce: Type.Optional(Text),
  /** The pushed request that the code uses up. */
  requestUri: Type.Optional(Text),
  /** The device that began it, as its token said; older nodes do not write it. */
  device: Type.Optional(
    Type.Union([
      Type.Object({
        id: Type.String(),
        accounts: Type.Array(Type.Object({ tag: Type.String(), at: Type.Number() })),
      }),
      Type.Null(),
    ]),
  ),
  createdAt: Type.Number(),
  /** The flow ends at this time, whatever happens in it. */
  deadline: Type.Number(),
  attemptsLeft: Type.Integer(),
  step: SentStep,
  /** How many steps were sent. Distinguishes two equal steps. */
  stepNumber: Type.Integer(),
  outcome: Type.Union([Outcome, Type.Null()]),
  /** What was proved, while the user waits for approval. */
  waiting: Type.Union([Type.Object({ userId: Type.String(), proof: StoredProof }), Type.Null()]),
  /** Older nodes do not write it. */
  factor: Type.Optional(Type.Union([FactorPart, Type.Null()])),
  /** What the provider proved to the client; sent with every step from then on. */
  serverFinal: absentOr(Type.String()),
  /** The provider's own state; plain data. */
  providerState: Type.Record(Type.String(), Type.Unknown()),
  /** Until this time a step is being processed, and no other starts; 0 if none is. */
  busyUntil: Type.Number(),
});

/**
 * A login flow as it is stored. Contains no secret in clear text, and no input of a person but the login name of a proof
 * that has begun.
 */
export type Flow = Omit<Static<typeof FlowRecord>, "providerState" | "factor"> & {
  readonly providerState: JsonObject;
  readonly factor?: FactorPart | null | undefined;
};
const flowRecord = Compile(FlowRecord);

/** A flow and its version; version 0 was never stored. */
export interface VersionedFlow {
  readonly flow: Flow;
  readonly version: number;
  /**
   * The version of the record that says who holds the flow, if the commit that ends it checks that too: a socket that
   * lost the flow meanwhile finishes nothing.
   */
  readonly holdVersion?: number;
  /** Its end was committed already, with what the provider had to do. */
  readonly isOver?: true;
}

/** How long the record stays after the deadline, so that a late client learns that the flow has expired. */
const lateMs = 60_000;
const idShape = /^[0-9a-f]{32}$/;

export function newFlowSecret(): string {
  return randomBytes(32).toString("base64url");
}

export function hashFlowSecret(secret: string): string {
  return hash("sha256", secret, "base64url");
}

/**
 * Reads the flow for a caller with its secret. Undefined for an unknown flow and for a wrong secret alike, after the
 * same comparison in constant time. NOT yet verified: the deadline.
 */
export async function readFlow(
  store: Store,
  flowId: string,
  secret: string,
): Promise<VersionedFlow | undefined> {
  const record = idShape.test(flowId) ? await readRecord(store, recordKeys.flow(flowId)) : undefined;
  const value = record?.value;
  const flow = value !== undefined && isFlow(value) ? value : undefined;
  const same = isSameText(hashFlowSecret(secret), flow?.secretHash ?? hashFlowSecret(""));
  return same && flow !== undefined && record !== undefined ? { flow, version: record.version } : undefined;
}

/** Reads the flow for a caller in this process, which needs no secret. NOT yet verified: the deadline. */
export async function readFlowById(store: Store, flowId: string): Promise<VersionedFlow | undefined> {
  const record = idShape.test(flowId) ? await readRecord(store, recordKeys.flow(flowId)) : undefined;
  return record !== undefined && isFlow(record.value)
    ? { flow: record.value, version: record.version }
    : undefined;
}

function isFlow(value: JsonObject): value is Flow {
  return flowRecord.Check(value);
}

/** The part of a commit that writes the flow, if its version is the one that was read. */
export function writeFlowStep({ flow, version }: VersionedFlow): Step {
  const key = recordKeys.flow(flow.id);
  return {
    check: [{ key, version }],
    put: [{ key, value: { ...flow }, expiresAt: flow.deadline + lateMs }],
  };
}

/** The part of a commit that gives the flow to the socket with this hold. Checks nothing: the last one wins. */
export function takeHoldStep({ id, deadline }: Flow, hold: string): Step {
  return { put: [{ key: recordKeys.flowHolder(id), value: { hold }, expiresAt: deadline + lateMs }] };
}

/** The hold of the socket that has the flow; null for the socket that started it. */
export interface Hold {
  readonly hold: string | null;
  readonly version: number;
}

export async function readHold(store: Store, flowId: string): Promise<Hold> {
  const [found = { hold: null, version: 0 }] = await readHolds(store, [flowId]);
  return found;
}

/** The same for several flows, in their order. */
export async function readHolds(store: Store, flowIds: readonly string[]): Promise<readonly Hold[]> {
  const records = await store.get(flowIds.map(recordKeys.flowHolder));
  return records.map((record) => ({
    hold: typeof record?.value.hold === "string" ? record.value.hold : null,
    version: record?.version ?? 0,
  }));
}

/** The part of a commit that ends the flow, if its version is the one that was read. */
export function endFlowStep(at: VersionedFlow): Step {
  return at.isOver === true ? {} : { check: flowChecks(at), remove: [recordKeys.flow(at.flow.id)] };
}

/** Whether the flow is as it was read, and still the caller's. */
export function flowChecks({ flow, version, holdVersion, isOver }: VersionedFlow): Checks {
  if (isOver === true) return [];
  const own = { key: recordKeys.flow(flow.id), version };
  if (holdVersion === undefined) return [own];
  return [own, { key: recordKeys.flowHolder(flow.id), version: holdVersion }];
}
