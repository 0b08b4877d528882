import type { Clock } from "../../clock/clock.ts";
import { AuthError } from "../../errors.ts";
import { type Flow, readFlowById } from "../../login/flow-record.ts";
import type { LoginFlows } from "../../login/login-flows.ts";
import type { Peer } from "../../model.ts";
import type { Store } from "../../store.ts";
import type { Users } from "../../users/users.ts";
import type { ProviderRegistry } from "../registry.ts";
import { type AuthorizationRequest, requestSecretsOf } from "./browser-binding.ts";
import { type BrowserOutcome, browserStep, isOidcProvider, type OidcProvider, seedIn } from "./provider.ts";
import type { createReturns, Returns } from "./return-record.ts";
import type { UpstreamRequest } from "./upstream.ts";

export interface BrowserLoginTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly sealing: Parameters<typeof createReturns>[1];
  readonly registry: ProviderRegistry;
  readonly users: Pick<Users, "read">;
  readonly logins: Pick<LoginFlows, "completeExternalStep">;
}

/** The tools, as the steps of a browser's way share them. */
export interface BrowserLoginEngine extends BrowserLoginTools {
  readonly returns: Returns;
}

/** The flow, if it waits for a browser that comes from its provider. */
export async function waitingFlow(
  { store, clock, registry }: BrowserLoginEngine,
  flowId: string | undefined,
): Promise<{ readonly flow: Flow; readonly provider: OidcProvider }> {
  const at = flowId === undefined ? undefined : await readFlowById(store, flowId);
  const flow = at?.flow;
  const provider = flow && registry.find(...flow.handler);
  if (flow === undefined || provider === undefined || !isOidcProvider(provider))
    throw invalidReturn("there is no such login");
  const waits = flow.step.kind === "external" && flow.step.stepId === browserStep && flow.outcome === null;
  if (!waits || flow.deadline <= clock.now()) throw invalidReturn("the login is over");
  return { flow, provider };
}

export function upstreamRequest(
  provider: OidcProvider,
  flow: Flow,
  request: AuthorizationRequest,
  now: number,
): UpstreamRequest {
  const seed = seedIn(provider.options, flow.id, flow.providerState);
  return {
    ...requestSecretsOf(seed, request),
    maxAgeMs: maxAgeOf(flow, now),
    state: request.state,
    redirectUri: redirectUriOf(provider),
  };
}

/** Who steps up proves who they are now, whatever session the browser has at the provider. */
function maxAgeOf({ purpose, maxAge, createdAt }: Flow, now: number): number | undefined {
  const allowed = purpose === "step_up" ? 0 : maxAge;
  return allowed === undefined ? undefined : now - createdAt + allowed * 1000;
}

/** Each provider has an address of its own: what one sends back is never taken for another's (RFC 9700 section 4.4). */
function redirectUriOf({ id, options }: OidcProvider): string {
  const callback = `${options.publicUrl()}/auth/oidc/callback`;
  return id === null ? callback : `${callback}/${encodeURIComponent(id)}`;
}

export async function complete(
  engine: BrowserLoginEngine,
  flowId: string,
  outcome: BrowserOutcome,
  peer: Peer,
): Promise<void> {
  await engine.logins.completeExternalStep({ flowId, stepId: browserStep, input: { outcome } }, peer);
}

export function invalidReturn(detail: string): AuthError {
  return new AuthError("invalid_return", { detail });
}
