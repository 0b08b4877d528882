import { randomBytes } from "node:crypto";
import type { ErrorName } from "../../../../protocol/errors.ts";
import { newComparisonCode } from "../../comparison-code.ts";
import { AuthError } from "../../errors.ts";
import { hashed, providerKey } from "../../record-keys.ts";
import type { Sealing } from "../../tokens/sealing.ts";
import { BoundedTries } from "../bounded-tries.ts";
import { mappedGroups } from "../group-mapping.ts";
import type { LoginProvider, NewUsers, ProviderContext, ProviderStep } from "../provider.ts";
import type { BrowserBinding } from "./browser-binding.ts";
import type { ProvedReturn } from "./return-record.ts";
import type { Upstream } from "./upstream.ts";

export const oidcType = "oidc";
/** The only step: the person is in a browser, at the provider. */
export const browserStep = "browser";

export interface OidcProviderOptions {
  readonly id: string | null;
  readonly name: string;
  readonly clientId: string;
  readonly nameClaim: string;
  readonly groupsClaim: string;
  readonly groupMapping: Readonly<Record<string, string>> | undefined;
  /** Whether the browser must have the address (IPv6: the /64) of the socket that waits. */
  readonly sameAddress: boolean;
  readonly newUsers: NewUsers;
  readonly upstream: Upstream;
  readonly sealing: Pick<Sealing, "seal" | "open">;
  readonly binding: BrowserBinding;
  /** How browsers reach the gateway, without a trailing slash. */
  readonly publicUrl: () => string;
}

/** What completes the browser's step. Only `browser-logins.ts` makes it. */
export type BrowserOutcome =
  | { readonly proved: ProvedReturn }
  | { readonly failure: ErrorName | "refused_by_person" };

/** A login provider, as the engine sees it, and as the endpoints of its browsers do. */
export interface OidcProvider extends LoginProvider {
  readonly type: typeof oidcType;
  readonly options: OidcProviderOptions;
  /** In record keys, and bound into every `state`. */
  readonly key: string;
  /**
   * Bounds how many codes are redeemed at once: anybody can send the gateway a code that the provider has to
   * refuse.
   */
  readonly turns: BoundedTries;
}

/** Codes that are redeemed at once. */
const concurrent = 16;

export function isOidcProvider(provider: LoginProvider): provider is OidcProvider {
  return provider.type === oidcType && "options" in provider && "key" in provider;
}

/**
 * An OpenID provider. The step is `external`; its URL is the gateway's own, where the browser begins, see
 * `BrowserBinding`. The socket's client shows the step's code, and so does the page on which the person confirms.
 */
export function createOidcProvider(options: OidcProviderOptions): OidcProvider {
  const { id, name, newUsers } = options;
  return {
    type: oidcType,
    id,
    name,
    key: providerKey(oidcType, id),
    options,
    turns: new BoundedTries(concurrent),
    supportsMfa: true,
    newUsers,
    begin: (context) => begin(options, context),
    advance: async (_stepId, input) => outcomeStep(options, input.outcome as BrowserOutcome),
  };
}

async function begin(
  { upstream, sealing, binding, publicUrl, name }: OidcProviderOptions,
  { flowId, peer }: ProviderContext,
): Promise<ProviderStep> {
  // A provider that is down is told to the client here, and not to the person in a browser later.
  await upstream.ready();
  return {
    kind: "external",
    stepId: browserStep,
    url: `${publicUrl()}/auth/oidc/start/${binding.ticketOf(flowId)}`,
    placeholders: { provider: name, code: newComparisonCode() },
    state: { seed: sealing.seal(seedName(flowId), randomBytes(32)), address: peer.address },
  };
}

/** The secret of a flow's authorization requests, as its state has it. */
export function seedIn(
  { sealing }: OidcProviderOptions,
  flowId: string,
  { seed }: { readonly seed?: unknown },
): Uint8Array {
  if (typeof seed !== "string") throw new AuthError("unavailable", { detail: "a login flow is damaged" });
  return sealing.open(seedName(flowId), seed);
}

function seedName(flowId: string): string {
  return `oidc ${flowId}`;
}

function outcomeStep({ groupMapping }: OidcProviderOptions, outcome: BrowserOutcome): ProviderStep {
  if ("failure" in outcome) return { kind: "abort", reason: outcome.failure };
  const { identity, open } = outcome.proved;
  const { subject, amr, name, groups, authenticatedAt } = identity;
  return {
    kind: "done",
    subject,
    amr,
    authenticatedAt,
    profile: { name, groupIds: mappedGroups(groupMapping, groups) },
    evidence: open,
    providerSession: { name: identity.sid, open },
  };
}

/** How a session remembers the provider's session. A `sid` is unique at its issuer only, and may be long. */
export function sessionNameOf(issuer: string, sid: string): string {
  return hashed(JSON.stringify([issuer, sid]));
}
