import { randomBytes } from "node:crypto";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import { Handler } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import type { Principal } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { mergeSteps, readRecord, type Step } from "../store.ts";
import type { PersonTools } from "./find-person.ts";
import { linkProved } from "./finish-link.ts";
import { endFlowStep, StoredProof, type VersionedFlow } from "./flow-record.ts";
import { type Proof, restoredProof, storedProof } from "./proof.ts";

/** As long as an authorization code. */
const lifeMs = 600_000;
const codeShape = /^[0-9a-f]{32}$/;

const LinkCode = Type.Object({
  handler: Handler,
  clientId: Type.String(),
  proof: StoredProof,
  expires_at: Type.Number(),
});
const linkCode = Compile(LinkCode);

export interface RedeemLinkCode {
  readonly code: string;
  /** As the request says. */
  readonly clientId: string;
  readonly asker: Pick<Principal, "userId" | "sessionId" | "clientId">;
}

/**
 * Ends the flow and gives a code for what it has proved. It is no authorization code: it opens no session, and an
 * authorization code links nothing. Throws `conflict`.
 */
export async function giveLinkCode(
  { store, clock }: PersonTools,
  at: VersionedFlow,
  proof: Proof,
): Promise<{ readonly kind: "granted"; readonly result: string }> {
  const { handler, clientId } = at.flow;
  if (clientId === null) throw new AuthError("invalid_client");
  const code = randomBytes(16).toString("hex");
  const key = recordKeys.linkCode(code);
  const expiresAt = clock.now() + lifeMs;
  const value = { handler: [...handler], clientId, proof: storedProof(proof), expires_at: expiresAt };
  const outcome = await store.commit(mergeSteps(endFlowStep(at), { put: [{ key, value, expiresAt }] }));
  if (!outcome.ok) throw new AuthError("conflict");
  return { kind: "granted", result: code };
}

/**
 * Links what was proved to the user of the session that asks. The commit that links uses the code up, and so does a
 * refusal. Somebody who asks with another client uses nothing up. Throws `invalid_code` alike for an unknown, expired or
 * used code, another client than the flow's, and a session of another client; `credential_in_use`, `credential_exists`
 * (the user has another credential of this provider), `not_allowed`.
 */
export async function redeemLinkCode(
  tools: PersonTools,
  { code, clientId, asker }: RedeemLinkCode,
): Promise<string> {
  if (!codeShape.test(code)) throw invalid("the code is not one of ours");
  const record = await readRecord(tools.store, recordKeys.linkCode(code));
  if (record === undefined) throw invalid("the code is unknown");
  const stored = parsed(record.value);
  if (stored.clientId !== clientId) throw invalid("the code belongs to another client");
  // Otherwise an app could have a login linked by a session that the person gave to another app.
  if (asker.clientId !== clientId) throw invalid("the session belongs to another client");
  if (tools.clock.now() >= stored.expires_at) throw invalid("the code has expired");
  const key = recordKeys.linkCode(code);
  const consume: Step = { check: [{ key, version: record.version }], remove: [key] };
  try {
    return await linkStored(tools, asker, stored, consume);
  } catch (error) {
    const now = await readRecord(tools.store, key);
    if (error instanceof AuthError && error.code === "conflict" && now?.version !== record.version)
      throw invalid("the code was used before");
    throw error;
  }
}

async function linkStored(
  tools: PersonTools,
  asker: RedeemLinkCode["asker"],
  { handler, proof }: Static<typeof LinkCode>,
  consume: Step,
): Promise<string> {
  const outcome = await linkProved(tools, asker, { handler, proof: restoredProof(proof) }, consume);
  if (outcome.kind === "granted") return outcome.result;
  const used = await tools.store.commit(consume);
  if (!used.ok) throw new AuthError("conflict");
  const own = await tools.credentials.find(handler[0], handler[1], proof.subject);
  if (outcome.reason === "credential_exists" && own?.credential.userId === asker.userId)
    return own.credential.id;
  throw new AuthError(outcome.reason);
}

function parsed(value: unknown): Static<typeof LinkCode> {
  if (linkCode.Check(value)) return value;
  throw new AuthError("unavailable", { detail: "a link code has a shape that this version cannot read" });
}

function invalid(detail: string): AuthError {
  return new AuthError("invalid_code", { detail });
}
