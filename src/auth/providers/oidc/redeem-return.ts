import { addressShare } from "../../../net/address-share.ts";
import { AuthError } from "../../errors.ts";
import type { Flow } from "../../login/flow-record.ts";
import type { Peer } from "../../model.ts";
import type { JsonObject } from "../../store.ts";
import type { AuthorizationRequest } from "./browser-binding.ts";
import {
  amrIn,
  claimAt,
  groupsIn,
  type Identity,
  isIdentifier,
  loginTimeIn,
  nameIn,
  subjectOf,
} from "./identity.ts";
import { logoutMarks, refuseIfLoggedOut } from "./logout-marks.ts";
import { type OidcProvider, sessionNameOf } from "./provider.ts";
import type { ProvedReturn, ReturnRecord } from "./return-record.ts";
import type { VerifiedClaims } from "./upstream.ts";
import { type BrowserLoginEngine, complete, invalidReturn, upstreamRequest } from "./waiting-flow.ts";

/** A browser that came back with a `state` of this flow. */
export interface Returning {
  readonly provider: OidcProvider;
  readonly flow: Flow;
  readonly request: AuthorizationRequest;
  readonly answer: URLSearchParams;
  readonly peer: Peer;
}

/** Who the person is, from the one return that a flow has. Throws as `BrowserLogins.returned`. */
export async function provedReturn(engine: BrowserLoginEngine, returning: Returning): Promise<ProvedReturn> {
  const { provider, flow, peer } = returning;
  const known = await engine.returns.read(flow.id);
  if (known !== undefined) return await provedBefore(engine, known, returning);
  // Before the return is claimed: whoever is refused here may reload.
  const leave = await provider.turns.enter({ key: addressShare(peer.address), reserved: false });
  try {
    return await redeemOnce(engine, returning);
  } finally {
    leave();
  }
}

async function redeemOnce(engine: BrowserLoginEngine, returning: Returning): Promise<ProvedReturn> {
  const { flow, request } = returning;
  const since = engine.clock.now();
  const claim = { flowId: flow.id, state: request.state, since, until: flow.deadline };
  const version = await engine.returns.claim(claim);
  if (version === undefined)
    throw new AuthError("conflict", { detail: "another return of this login was first" });
  return await endOnFailure(engine, returning, async () => {
    const proved = await redeem(engine, returning, version);
    await engine.returns.prove(claim, version, proved);
    return proved;
  });
}

/** Longer than all requests to a provider take together. A node that has not finished by then was killed. */
const redeemingMs = 30_000;

async function provedBefore(
  engine: BrowserLoginEngine,
  known: ReturnRecord,
  returning: Returning,
): Promise<ProvedReturn> {
  if (known.state !== returning.request.state)
    throw invalidReturn("another browser or another attempt has returned for this login");
  if (known.phase === "proved") return known.proved;
  if (engine.clock.now() - known.since < redeemingMs)
    throw new AuthError("conflict", { detail: "the return is being processed" });
  return await endOnFailure(engine, returning, async () => {
    throw new AuthError("provider_unavailable", { detail: "the node that redeemed the code did not finish" });
  });
}

/** A code that may be used up is not redeemed again. The socket learns of it, and its client can begin anew. */
async function endOnFailure<Result>(
  engine: BrowserLoginEngine,
  { flow, peer }: Returning,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const failure = error instanceof AuthError ? error.code : "provider_error";
    await complete(engine, flow.id, { failure }, peer).catch(() => undefined);
    throw error;
  }
}

/** Asks the provider who the person is. `since`: the version of the commit that claimed the return. */
async function redeem(
  { store, clock }: BrowserLoginEngine,
  { provider, flow, request, answer }: Returning,
  since: number,
) {
  const { nameClaim, groupsClaim, groupMapping } = provider.options;
  const needs = (claims: JsonObject) =>
    claimAt(claims, nameClaim) === undefined ||
    (groupMapping !== undefined && claimAt(claims, groupsClaim) === undefined);
  const verified = await provider.options.upstream.redeem(
    answer,
    upstreamRequest(provider, flow, request, clock.now()),
    needs,
  );
  const identity = identityOf(provider, verified);
  const marks = logoutMarks(provider.key, verified.issuer, verified.sub, identity.sid);
  const open = await refuseIfLoggedOut(store, marks, since);
  return { identity, open };
}

function identityOf(
  { options: { nameClaim, groupsClaim } }: OidcProvider,
  { issuer, sub, claims }: VerifiedClaims,
): Identity {
  if (!isIdentifier(sub)) throw new AuthError("provider_error", { detail: "the sub is longer than allowed" });
  return {
    subject: subjectOf(issuer, sub),
    sid: isIdentifier(claims.sid) ? sessionNameOf(issuer, claims.sid) : null,
    amr: amrIn(claims),
    name: nameIn(claims, nameClaim),
    groups: groupsIn(claims, groupsClaim),
    authenticatedAt: loginTimeIn(claims),
  };
}
