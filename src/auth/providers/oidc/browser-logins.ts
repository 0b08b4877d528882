import { addressShare } from "../../../net/address-share.ts";
import { AuthError } from "../../errors.ts";
import type { Flow } from "../../login/flow-record.ts";
import type { Peer } from "../../model.ts";
import { recordKeys } from "../../record-keys.ts";
import type { Step } from "../../store.ts";
import { type AuthorizationRequest, claimedFlowOf, isBrowserId, newBrowserId } from "./browser-binding.ts";
import type { Identity } from "./identity.ts";
import { isOidcProvider, type OidcProvider, oidcType } from "./provider.ts";
import { provedReturn } from "./redeem-return.ts";
import { createReturns } from "./return-record.ts";
import {
  type BrowserLoginEngine,
  type BrowserLoginTools,
  complete,
  invalidReturn,
  upstreamRequest,
  waitingFlow,
} from "./waiting-flow.ts";

/** What the person is asked to confirm. Texts come from the provider and from the client: show them as text only. */
export interface PendingReturn {
  readonly answerToken: string;
  /** Who the person is at the provider. */
  readonly account: string;
  readonly provider: string;
  /**
   * Who asks for the account at the provider to be linked to them; no name: whoever will be logged in at the client. Null:
   * the account is logged in.
   */
  readonly linksTo: { readonly user: string | null } | null;
  /** The host of the gateway, as browsers know it. */
  readonly host: string;
  /** As the client claims. */
  readonly clientId: string | null;
  readonly clientName: string | null;
  /** The client shows the same code. */
  readonly code: string;
  /** The address of the socket that waits. */
  readonly address: string | null;
  /** Whether this browser has that address. */
  readonly isSameAddress: boolean;
}

/**
 * The browser's way through an OpenID provider, at any node. Each method throws `invalid_return` for what was not made
 * here, belongs to another browser, or is over. `browser`: the value of the browser's cookie, if it sent one.
 */
export interface BrowserLogins {
  /** The browser begins. Gives the provider's address for it, and the cookie's value. */
  start(
    ticket: string,
    browser: string | undefined,
    peer: Peer,
  ): Promise<{ readonly url: URL; readonly browser: string }>;
  /**
   * The browser came back. The code of the return is redeemed once; a reload shows the same again. If that fails the
   * flow ends. Throws `provider_unavailable`, `provider_error`, `provider_refused`, `not_allowed` (another address),
   * and for a reload `conflict` (the code is being redeemed) and `overloaded` (too many are).
   */
  returned(
    providerId: string | null,
    answer: URLSearchParams,
    browser: string | undefined,
    peer: Peer,
  ): Promise<PendingReturn>;
  /** The person confirms or refuses. The socket that waits goes on. Gives the flow's id. Throws `conflict`. */
  answer(token: string, agrees: boolean, browser: string | undefined, peer: Peer): Promise<string>;
}

export function createBrowserLogins(tools: BrowserLoginTools): BrowserLogins {
  const engine = { ...tools, returns: createReturns(tools.store, tools.sealing) };
  return {
    start: (ticket, browser) => start(engine, ticket, browser),
    returned: (providerId, answer, browser, peer) => returned(engine, providerId, answer, browser, peer),
    answer: (token, agrees, browser, peer) => answerReturn(engine, token, agrees, browser, peer),
  };
}

async function start(engine: BrowserLoginEngine, ticket: string, sent: string | undefined) {
  const claimed = claimedFlowOf(ticket);
  const { flow, provider } = await waitingFlow(engine, claimed);
  if (provider.options.binding.flowOfTicket(ticket) === undefined)
    throw invalidReturn("the ticket was not made here");
  const browser = sent !== undefined && isBrowserId(sent) ? sent : newBrowserId();
  const request = provider.options.binding.newRequest(flow.id, provider.key, browser);
  const url = await provider.options.upstream.authorizationUrl(
    upstreamRequest(provider, flow, request, engine.clock.now()),
  );
  return { url, browser };
}

async function returned(
  engine: BrowserLoginEngine,
  providerId: string | null,
  answer: URLSearchParams,
  browser: string | undefined,
  peer: Peer,
): Promise<PendingReturn> {
  const provider = engine.registry.find(oidcType, providerId);
  if (provider === undefined || !isOidcProvider(provider))
    throw invalidReturn("the provider is not configured");
  if (browser === undefined) throw invalidReturn("the browser has no cookie");
  const request = provider.options.binding.readState(answer.get("state") ?? "", provider.key, browser);
  if (request === undefined) throw invalidReturn("the state was not made for this provider and this browser");
  const { flow } = await waitingFlow(engine, request.flowId);
  checkAddress(provider, flow, peer);
  const proved = await provedReturn(engine, { provider, flow, request, answer, peer });
  const linksTo = await whoLinks(engine, flow);
  return pendingReturn(provider, flow, request, { browser, peer, identity: proved.identity, linksTo });
}

interface Shown {
  readonly browser: string;
  readonly peer: Peer;
  readonly identity: Identity;
  readonly linksTo: PendingReturn["linksTo"];
}

async function whoLinks(
  { users }: BrowserLoginEngine,
  { linking, purpose }: Flow,
): Promise<PendingReturn["linksTo"]> {
  if (linking === null || purpose === "step_up") return purpose === "link_code" ? { user: null } : null;
  const user = (await users.read(linking.userId))?.user;
  if (user === undefined) throw invalidReturn("the user who asked was removed");
  return { user: user.name ?? user.id };
}

function pendingReturn(
  provider: OidcProvider,
  flow: Flow,
  request: AuthorizationRequest,
  { browser, peer, identity, linksTo }: Shown,
): PendingReturn {
  const address = startAddress(flow);
  return {
    answerToken: provider.options.binding.answerTokenOf(request, browser),
    account: identity.name,
    provider: provider.name,
    linksTo,
    host: new URL(provider.options.publicUrl()).host,
    clientId: flow.clientId,
    clientName: flow.clientName,
    code: flow.step.placeholders?.code ?? "",
    address,
    isSameAddress: isSameShare(address, peer.address),
  };
}

async function answerReturn(
  engine: BrowserLoginEngine,
  token: string,
  agrees: boolean,
  browser: string | undefined,
  peer: Peer,
): Promise<string> {
  if (browser === undefined) throw invalidReturn("the browser has no cookie");
  const { flow, provider } = await waitingFlow(engine, claimedFlowOf(token));
  const known = await engine.returns.read(flow.id);
  if (known === undefined) throw invalidReturn("no browser has returned for this login");
  const request = { flowId: flow.id, state: known.state };
  if (!provider.options.binding.isAnswerToken(token, request, browser))
    throw invalidReturn("the answer is not of the browser that returned");
  if (known.phase === "redeeming")
    throw new AuthError("conflict", { detail: "the return is being processed" });
  checkAddress(provider, flow, peer);
  if (agrees) await rememberSession(engine, provider, known.proved.identity);
  await complete(engine, flow.id, agrees ? { proved: known.proved } : { failure: "refused_by_person" }, peer);
  // It expires by itself too; nothing completes the flow a second time.
  await engine.returns.remove(flow.id).catch(() => undefined);
  return flow.id;
}

/** Longer than browsers keep a cookie (400 days), so longer than the provider's session lives. */
const sessionMs = 400 * 86_400_000;

/** A logout token may name only the session, so whose it is has to be known. */
async function rememberSession(
  { store, clock }: BrowserLoginEngine,
  { key }: OidcProvider,
  { sid, subject }: Identity,
): Promise<void> {
  if (sid === null) return;
  const put: Step["put"] = [
    { key: recordKeys.oidcSession(key, sid), value: { subject }, expiresAt: clock.now() + sessionMs },
  ];
  await store.commit({ put });
}

function startAddress({ providerState }: Flow): string | null {
  return typeof providerState.address === "string" ? providerState.address : null;
}

function isSameShare(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && addressShare(a) === addressShare(b);
}

function checkAddress({ options }: OidcProvider, flow: Flow, peer: Peer): void {
  if (!options.sameAddress || isSameShare(startAddress(flow), peer.address)) return;
  throw new AuthError("not_allowed", {
    publicMessage: "This login must be finished in the network in which it was started",
  });
}
