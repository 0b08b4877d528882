import type { AssuranceLevel } from "../model.ts";
import type { Profile, ProviderSession, ProviderStep } from "../providers/provider.ts";
import { combinedAmr } from "../sessions/raise-session.ts";
import type { Checks, JsonObject } from "../store.ts";
import { restoredChecks, storedChecks } from "../stored-checks.ts";
import type { Person } from "../users/person.ts";
import type { StoredProof } from "./flow-record.ts";

/** What all required steps have proved. A login is made only from this. */
export interface Proof {
  readonly subject: string;
  readonly amr: readonly string[];
  readonly assurance: AssuranceLevel;
  readonly authenticatedAt: number;
  /** The records that it was decided on. The commit that opens the session checks each of them. */
  readonly evidence: Checks;
  readonly profile?: Profile | undefined;
  /** See `ProviderStep`. */
  readonly linkTo?: string | undefined;
  readonly providerSession?: ProviderSession | undefined;
  /** See `ProviderStep`. Not stored here: a secret. */
  readonly pending?: JsonObject | undefined;
  /** See `ProviderStep`. Not stored: whoever restores the proof reads the person then. */
  readonly asRead?: Person | undefined;
}

export function proofOf(step: Extract<ProviderStep, { kind: "done" }>, now: number): Proof {
  const { subject, evidence, profile, linkTo, providerSession, asRead, provesTwo, pending } = step;
  const level =
    provesTwo === true
      ? ({ assurance: 2, amr: combinedAmr(step.amr, []) } as const)
      : ({ assurance: 1, amr: step.amr } as const);
  // The clock of a provider may be ahead.
  const authenticatedAt = Math.min(now, step.authenticatedAt ?? now);
  return { subject, evidence, profile, linkTo, providerSession, asRead, pending, ...level, authenticatedAt };
}

/** As a flow's record keeps it, for the node that finishes the login: what it proved counts as one factor from then on. */
export function storedProof(proof: Proof): StoredProof {
  const { subject, amr, evidence, authenticatedAt, profile, linkTo, providerSession } = proof;
  return {
    subject,
    amr: [...amr],
    evidence: storedChecks(evidence),
    authenticatedAt,
    profile: profile && { ...profile, groupIds: profile.groupIds && [...profile.groupIds] },
    linkTo,
    providerSession: providerSession && {
      name: providerSession.name,
      open: storedChecks(providerSession.open),
    },
  };
}

export function restoredProof({ evidence, providerSession, ...proof }: StoredProof): Proof {
  const session = providerSession && { ...providerSession, open: restoredChecks(providerSession.open) };
  return { ...proof, evidence: restoredChecks(evidence), providerSession: session, assurance: 1 };
}
