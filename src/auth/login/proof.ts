import type { AssuranceLevel } from "../model.ts";
import type { Profile, ProviderStep } from "../providers/provider.ts";
import type { RecordKey, Step } from "../store.ts";
import type { StoredProof } from "./flow-record.ts";

/** What all required steps have proved. A login is made only from this. */
export interface Proof {
  readonly subject: string;
  readonly amr: readonly string[];
  readonly assurance: AssuranceLevel;
  readonly authenticatedAt: number;
  /** The records that it was decided on. The commit that opens the session checks each of them. */
  readonly evidence: NonNullable<Step["check"]>;
  readonly profile?: Profile | undefined;
  /** See `ProviderStep`. */
  readonly linkTo?: string | undefined;
}

export function proofOf(step: Extract<ProviderStep, { kind: "done" }>, authenticatedAt: number): Proof {
  const { subject, amr, evidence, profile, linkTo } = step;
  return { subject, amr, evidence, profile, linkTo, assurance: 1, authenticatedAt };
}

/** As a flow's record keeps it, for the node that finishes the login. */
export function storedProof(proof: Proof): StoredProof {
  const { subject, amr, evidence, authenticatedAt, profile, linkTo } = proof;
  return {
    subject,
    amr: [...amr],
    evidence: evidence.map(({ key, version }) => ({ key, version })),
    authenticatedAt,
    profile: profile && { ...profile, groupIds: profile.groupIds && [...profile.groupIds] },
    linkTo,
  };
}

export function restoredProof({ evidence, ...proof }: StoredProof): Proof {
  const checks = evidence.map(({ key, version }) => ({ key: key as RecordKey, version }));
  return { ...proof, evidence: checks, assurance: 1 };
}
