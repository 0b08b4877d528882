import type { Peer } from "../model.ts";
import { type AllowedRequest, type RequestTools, stillAllowed } from "../oauth/authorization-request.ts";
import type { Step } from "../store.ts";
import type { FinishTools } from "./finish-login.ts";
import type { Flow, VersionedFlow } from "./flow-record.ts";
import type { Proof } from "./proof.ts";

/** What the flow's request is allowed now; see `stillAllowed`. Older nodes do not write all of it. */
export async function allowedNow(
  tools: RequestTools,
  { purpose, scope = null, resource = null, nonce = null, ...request }: Flow,
): Promise<AllowedRequest> {
  return await stillAllowed(tools, purpose, { ...request, scope, resource, nonce });
}

/**
 * Carries out what the provider has to do once the login has proved enough; see `LoginProvider.conclude`. `also` is
 * committed with it and checks the flow, so that a login which was cancelled or went on elsewhere changes nothing. Gives what
 * the login is decided on from then on; undefined if something has changed, and nothing was done. Throws what the login's
 * request is not allowed for any more: nothing is done for a login that cannot end well.
 */
export async function concludedProof(
  tools: FinishTools,
  { flow }: VersionedFlow,
  { pending, ...proof }: Proof,
  also: Step,
  peer: Peer,
): Promise<Proof | undefined> {
  if (pending === undefined) return proof;
  await allowedNow(tools, flow);
  const { clientId, requestUri } = flow;
  if (requestUri != null && clientId !== null) await tools.pushed.read(requestUri, clientId);
  const provider = tools.registry.find(...flow.handler);
  const evidence = await provider?.conclude?.(pending, { evidence: proof.evidence, peer, also });
  if (evidence === undefined) return undefined;
  tools.onConcluded?.();
  // The person's records have changed by it.
  return { ...proof, evidence, asRead: undefined };
}
