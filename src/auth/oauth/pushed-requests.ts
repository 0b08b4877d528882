import { randomBytes } from "node:crypto";
import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { addressShare } from "../../net/address-share.ts";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Peer } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { readRecord, type Step, type Store } from "../store.ts";
import { RateLimiter } from "../throttling/rate-limiter.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";

/** What a client pushed, checked then. `state` goes back with the code. `prompt`: OpenID Connect Core 3.1.2.1. */
export interface PushedRequest extends AuthorizationRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state: string | null;
  readonly prompt: string | null;
}

/** Pushed authorization requests (RFC 9126): the browser carries a reference, so nobody on the way can change them. */
export interface PushedRequests {
  /** `stranger`: the address of a client that has not authenticated. Throws `rate_limited`. */
  push(
    request: PushedRequest,
    stranger?: Peer,
  ): Promise<{ readonly requestUri: string; readonly expiresInMs: number }>;
  /**
   * The request, and the part of a commit that uses it up: the commit that issues the code. So a person may load the
   * page again, and one code comes of it. Throws `invalid_request_uri` alike for an unknown, used or old one, and
   * for another client's.
   */
  read(requestUri: string, clientId: string): Promise<PushedRequest & { readonly consume: Step }>;
}

export interface PushedRequestOptions {
  readonly store: Store;
  readonly clock: Clock;
}

/** As long as a login may take. */
const lifeMs = 10 * 60_000;
/** Of one address: people behind one address log in one after another. */
const strangersLimits = { limit: 300, windowMs: lifeMs };
const prefix = "urn:ietf:params:oauth:request_uri:";
const uriShape = /^urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{43}$/;

const Text = Type.Union([Type.String(), Type.Null()]);
const storedRequest = Compile(
  Type.Object({
    clientId: Type.String(),
    redirectUri: Type.String(),
    codeChallenge: Text,
    scope: Text,
    resource: Text,
    nonce: Text,
    state: Text,
    /** Absent in a record of an older version. */
    prompt: Type.Optional(Text),
    acrValues: Type.Optional(Text),
    maxAge: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
    endsAt: Type.Number(),
  }),
);

export function createPushedRequests({ store, clock }: PushedRequestOptions): PushedRequests {
  const strangers = new RateLimiter({ ...strangersLimits, clock });
  return {
    async push(request, stranger) {
      if (stranger !== undefined) strangers.charge(addressShare(stranger.address));
      const requestUri = prefix + randomBytes(32).toString("base64url");
      const endsAt = clock.now() + lifeMs;
      const { clientId, redirectUri, codeChallenge, scope, resource, nonce, state, prompt } = request;
      const { acrValues = null, maxAge = null } = request;
      const wishes = { scope, resource, nonce, acrValues, maxAge };
      const value = { clientId, redirectUri, codeChallenge, ...wishes, state, prompt, endsAt };
      await store.commit({ put: [{ key: recordKeys.pushedRequest(requestUri), value, expiresAt: endsAt }] });
      return { requestUri, expiresInMs: lifeMs };
    },
    async read(requestUri, clientId) {
      const key = recordKeys.pushedRequest(requestUri);
      const record = uriShape.test(requestUri) ? await readRecord(store, key) : undefined;
      const value = record?.value;
      if (record === undefined || !storedRequest.Check(value)) throw unusable("unknown, used or damaged");
      if (value.clientId !== clientId) throw unusable("of another client");
      if (clock.now() >= value.endsAt) throw unusable("too old");
      const { endsAt: _, prompt = null, ...request } = value;
      return { ...request, prompt, consume: { check: [{ key, version: record.version }], remove: [key] } };
    },
  };
}

function unusable(why: string): AuthError {
  return new AuthError("invalid_request_uri", { detail: `the pushed request is ${why}` });
}
