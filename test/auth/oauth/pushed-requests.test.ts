import { afterEach, beforeEach, expect, it } from "vitest";

import type { PushedRequest } from "../../../src/auth/oauth/pushed-requests.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { abroad, home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { refusal } from "../../support/refusal.ts";

const request: PushedRequest = {
  clientId: "app",
  redirectUri: "https://app.example/callback",
  codeChallenge: null,
  scope: "openid",
  resource: null,
  nonce: null,
  state: "s",
  prompt: null,
};
const lifeMs = 600_000;

let node: TestAuthority;
let other: TestAuthority;
beforeEach(async () => {
  node = await startAuthority();
  other = await node.another();
});
afterEach(() => node.stop());

const pushed = (at = node) => at.authority.pushedRequests;
const newUri = async () => (await pushed().push(request)).requestUri;
const codeFor = async (requestUri: string, at = node) =>
  (await node.store.commit((await pushed(at).read(requestUri, "app")).consume)).ok;

it("of strangers at one address are bounded within ten minutes; those of others, and of clients that authenticate, are not", async () => {
  const results = await Promise.allSettled(Array.from({ length: 301 }, () => pushed().push(request, abroad)));
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(300);
  expect(await refusal(pushed().push(request, abroad))).toBe("rate_limited");
  expect(await pushed().push(request, home)).toMatchObject({ expiresInMs: lifeMs });
  expect(await pushed().push(request)).toMatchObject({ expiresInMs: lifeMs });
  node.clock.advance(lifeMs - 1);
  expect(await refusal(pushed().push(request, abroad))).toBe("rate_limited");
  node.clock.advance(1);
  expect(await pushed().push(request, abroad)).toMatchObject({ expiresInMs: lifeMs });
});

it("are bounded for a /64 of IPv6, not for each address in it", async () => {
  const from = (place: number) => ({ address: `2001:db8:1:1::${place.toString(16)}` });
  await Promise.all(Array.from({ length: 300 }, (_, place) => pushed().push(request, from(place))));
  expect(await refusal(pushed().push(request, from(5000)))).toBe("rate_limited");
});

it("give one code, of many that are asked for at once on two nodes", async () => {
  const requestUri = await newUri();
  const many = await Promise.allSettled(
    Array.from({ length: 20 }, (_, place) => codeFor(requestUri, place % 2 === 0 ? node : other)),
  );
  expect(many.filter((each) => each.status === "fulfilled" && each.value)).toHaveLength(1);
  expect(await refusal(codeFor(requestUri))).toBe("invalid_request_uri");
});

it("are unusable alike for another client, once they are too old, and if nobody pushed them", async () => {
  const requestUri = await newUri();
  const errors = [
    await refusal(pushed().read(requestUri, "other")),
    await refusal(pushed().read(`${requestUri.slice(0, -1)}!`, "app")),
    await refusal(pushed().read("https://evil.example/request.jwt", "app")),
    await refusal(pushed().read("", "app")),
  ];
  node.clock.advance(lifeMs - 1);
  expect(await pushed(other).read(requestUri, "app")).toMatchObject(request);
  node.clock.advance(1);
  errors.push(await refusal(pushed().read(requestUri, "app")));
  expect(new Set(errors)).toEqual(new Set(["invalid_request_uri"]));
});

it("are kept by the hash of their reference, which alone would let anybody use them", async () => {
  const requestUri = await newUri();
  const reference = requestUri.slice(requestUri.lastIndexOf(":") + 1);
  const key = recordKeys.pushedRequest(requestUri);
  const [record] = await node.store.get([key]);
  expect(record).toBeDefined();
  expect(`${key} ${JSON.stringify(record?.value)}`).not.toContain(reference);
});
