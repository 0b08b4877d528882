import { type AllowedRequest, levelAskedFor } from "../oauth/authorization-request.ts";
import { deviceOf } from "./charged-step.ts";
import type { Engine } from "./flow-engine.ts";
import { type Flow, hashFlowSecret } from "./flow-record.ts";
import type { StartLogin } from "./login-flows.ts";

/** The record of a flow that begins. */
export function newFlow(
  { options, limits }: Engine,
  request: StartLogin,
  { client, ...allowed }: AllowedRequest,
  { id, secret }: { readonly id: string; readonly secret: string },
): Flow {
  const { handler, purpose, linking, clientName, requestUri, deviceToken } = request;
  const { clientId, redirectUri, codeChallenge, scope, resource, nonce, maxAge } = allowed;
  const now = options.clock.now();
  return {
    id,
    secretHash: hashFlowSecret(secret),
    handler,
    purpose,
    linking: linking ?? null,
    level: request.level ?? levelAskedFor(allowed),
    maxAge: maxAge ?? undefined,
    clientId,
    clientName: clientName ?? client?.name ?? null,
    redirectUri,
    codeChallenge,
    scope,
    resource,
    nonce,
    requestUri: requestUri ?? null,
    device: deviceOf(options, deviceToken),
    createdAt: now,
    deadline: now + limits.lifeMs,
    attemptsLeft: limits.attempts,
    step: { kind: "form", stepId: "init", fields: [], errors: {}, placeholders: null },
    stepNumber: 0,
    outcome: null,
    waiting: null,
    providerState: {},
    busyUntil: 0,
  };
}
