import { createHmac, randomBytes } from "node:crypto";

import { isSameText } from "../../constant-time.ts";
import type { Sealing } from "../../tokens/sealing.ts";

/**
 * The values that tie a browser's way through the provider to one login flow. Nothing of it is stored: each value
 * carries the flow's id and a MAC of the installation, so any node reads what another one made.
 *
 * Who may complete whose flow is the question here. Whoever waits on the socket knows the flow's start address, and
 * may send it to somebody else, whose browser the provider then logs in without a question. So:
 * - The person is sent to the gateway first, which gives the browser a cookie. The `state` of the request is bound to it.
 *   An authorization request that was made for one browser does not end in another one: a stolen or planted address of a
 *   return completes nothing.
 * - A return completes nothing by itself either. It shows what waits for it (RFC 8628 section 5.4), and only a POST with a
 *   token that is bound to the same browser completes it.
 * NOT prevented: a person who is deceived into confirming somebody else's login on that page.
 */
export interface BrowserBinding {
  /** The last part of the start address, for the client that has the flow. */
  ticketOf(flowId: string): string;
  /** The flow of a ticket; undefined if it was not made here. */
  flowOfTicket(ticket: string): string | undefined;
  /** A new authorization request of a flow, for one browser. */
  newRequest(flowId: string, provider: string, browser: string): AuthorizationRequest;
  /** Undefined unless `state` was made here, for this provider and this browser. */
  readState(state: string, provider: string, browser: string): AuthorizationRequest | undefined;
  /** The token that a page of this browser sends to answer for a return. */
  answerTokenOf(request: AuthorizationRequest, browser: string): string;
  /** Whether the token is the one of this request in this browser. */
  isAnswerToken(token: string, request: AuthorizationRequest, browser: string): boolean;
}

export interface AuthorizationRequest {
  readonly flowId: string;
  /** Has a random part, so each request of a flow is another one. */
  readonly state: string;
}

/** What only the gateway and the provider know of an authorization request. */
export interface RequestSecrets {
  readonly nonce: string;
  readonly codeVerifier: string;
}

const flowShape = /^[0-9a-f]{32}$/;
const browserShape = /^[A-Za-z0-9_-]{43}$/;

export function newBrowserId(): string {
  return randomBytes(32).toString("base64url");
}

export function isBrowserId(text: string): boolean {
  return browserShape.test(text);
}

/** `seed` is the flow's own secret, 32 bytes. Each request of a flow has other values. */
export function requestSecretsOf(seed: Uint8Array, { state }: AuthorizationRequest): RequestSecrets {
  const derive = (name: string) => createHmac("sha256", seed).update(`${name} ${state}`).digest("base64url");
  return { nonce: derive("nonce"), codeVerifier: derive("code verifier") };
}

/** The flow's id in a ticket, a state or an answer token. NOT verified. */
export function claimedFlowOf(text: string): string | undefined {
  const [flowId = ""] = text.split(".", 1);
  return flowShape.test(flowId) ? flowId : undefined;
}

export function createBrowserBinding(sealing: Pick<Sealing, "derive">): BrowserBinding {
  const key = sealing.derive("oidc browser binding");
  const mac = (...parts: readonly string[]) =>
    createHmac("sha256", key).update(JSON.stringify(parts)).digest("base64url");
  const stateOf = (flowId: string, attempt: string, provider: string, browser: string) =>
    `${flowId}.${attempt}.${mac("state", flowId, attempt, provider, browser)}`;
  const answerTokenOf = ({ flowId, state }: AuthorizationRequest, browser: string) =>
    `${flowId}.${mac("answer", state, browser)}`;
  return {
    ticketOf: (flowId) => `${flowId}.${mac("start", flowId)}`,
    flowOfTicket(ticket) {
      const flowId = claimedFlowOf(ticket);
      return flowId !== undefined && isSameText(ticket, `${flowId}.${mac("start", flowId)}`)
        ? flowId
        : undefined;
    },
    newRequest(flowId, provider, browser) {
      const attempt = randomBytes(16).toString("base64url");
      return { flowId, state: stateOf(flowId, attempt, provider, browser) };
    },
    readState(state, provider, browser) {
      const flowId = claimedFlowOf(state);
      const [, attempt = ""] = state.split(".", 2);
      if (flowId === undefined || !isSameText(state, stateOf(flowId, attempt, provider, browser)))
        return undefined;
      return { flowId, state };
    },
    answerTokenOf,
    isAnswerToken: (token, request, browser) => isSameText(token, answerTokenOf(request, browser)),
  };
}
