import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../../errors.ts";
import { recordKeys } from "../../record-keys.ts";
import { type Checks, readRecord, type Step, type Store } from "../../store.ts";
import { restoredChecks, StoredChecks } from "../../stored-checks.ts";
import type { Sealing } from "../../tokens/sealing.ts";
import type { Identity } from "./identity.ts";

/** What a return proved, until the person has confirmed it. */
export interface ProvedReturn {
  readonly identity: Identity;
  /** Records that the provider's logout changes, as they were when the person was known. */
  readonly open: Checks;
}

/**
 * The return of a browser. A flow has one: the first that comes with a `state` of the flow. Redeeming: its code is
 * being redeemed, which is done once. Proved: the person has to confirm.
 */
export type ReturnRecord = {
  readonly state: string;
  readonly version: number;
} & (
  | { readonly phase: "redeeming"; readonly since: number }
  | { readonly phase: "proved"; readonly proved: ProvedReturn }
);

const StoredReturn = Type.Object({
  state: Type.String(),
  /** When it was claimed, ms. */
  since: Type.Number(),
  /** A sealed `ProvedReturn`; null while the code is being redeemed. */
  box: Type.Union([Type.String(), Type.Null()]),
});
const storedReturn = Compile(StoredReturn);
type StoredReturn = Static<typeof StoredReturn>;

const sealedProof = Compile(
  Type.Object({
    identity: Type.Object({
      subject: Type.String(),
      sid: Type.Union([Type.String(), Type.Null()]),
      amr: Type.Array(Type.String()),
      name: Type.String(),
      groups: Type.Array(Type.String()),
      authenticatedAt: Type.Optional(Type.Number()),
    }),
    open: StoredChecks,
  }),
);

/** Times in ms. `until`: the end of the flow. */
export interface ReturnClaim {
  readonly flowId: string;
  readonly state: string;
  readonly since: number;
  readonly until: number;
}

export interface Returns {
  read(flowId: string): Promise<ReturnRecord | undefined>;
  /** Takes the flow's return. Gives the version of that commit; undefined if another request was first. */
  claim(claim: ReturnClaim): Promise<number | undefined>;
  /** Throws `conflict`. */
  prove(claim: ReturnClaim, version: number, proved: ProvedReturn): Promise<void>;
  remove(flowId: string): Promise<void>;
}

/** Returns are records in the store, so the person may confirm at another node than the one that redeemed the code. */
export function createReturns(store: Store, sealing: Pick<Sealing, "seal" | "open">): Returns {
  const write = ({ flowId, state, since, until }: ReturnClaim, box: string | null, version: number): Step => {
    const key = recordKeys.oidcReturn(flowId);
    const value: StoredReturn = { state, since, box };
    return { check: [{ key, version }], put: [{ key, value, expiresAt: until }] };
  };
  return {
    async read(flowId) {
      const key = recordKeys.oidcReturn(flowId);
      const record = await readRecord(store, key);
      if (record === undefined) return undefined;
      const { version, value } = record;
      if (!storedReturn.Check(value)) throw damaged();
      const { state, since, box } = value;
      if (box === null) return { state, version, phase: "redeeming", since };
      return { state, version, phase: "proved", proved: unsealed(sealing, key, box) };
    },
    async claim(claim) {
      const outcome = await store.commit(write(claim, null, 0));
      return outcome.ok ? outcome.version : undefined;
    },
    async prove(claim, version, proved) {
      const box = sealing.seal(recordKeys.oidcReturn(claim.flowId), Buffer.from(JSON.stringify(proved)));
      const outcome = await store.commit(write(claim, box, version));
      if (!outcome.ok) throw new AuthError("conflict");
    },
    async remove(flowId) {
      await store.commit({ remove: [recordKeys.oidcReturn(flowId)] });
    },
  };
}

function unsealed(sealing: Pick<Sealing, "open">, key: string, box: string): ProvedReturn {
  const proved: unknown = JSON.parse(sealing.open(key, box).toString());
  if (!sealedProof.Check(proved)) throw damaged();
  return { identity: proved.identity, open: restoredChecks(proved.open) };
}

function damaged(): AuthError {
  return new AuthError("unavailable", { detail: "a return from a login provider is damaged" });
}
