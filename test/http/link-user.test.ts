import { afterAll, beforeAll, expect, it } from "vitest";

import { createHomeAssistantProvider } from "../../src/auth/providers/homeassistant/provider.ts";
import { home, startAuthority, type TestAuthority } from "../support/authority.ts";
import { type GuestProvider, guestProvider } from "../support/guest-provider.ts";
import { type HttpUnderTest, httpUnderTest } from "./http-under-test.ts";

/* What may change between the proof of a login and its link: the time, and what the provider says. */

const client_id = "https://app.example/";
const redirect_uri = "https://app.example/in";
const badCode = { status: 400, body: { message: "Invalid code", code: "invalid_code" } };
let node: TestAuthority;
let http: HttpUnderTest;
let guests: GuestProvider;
let userId: string;
beforeAll(async () => {
  guests = guestProvider();
  node = await startAuthority({ providers: (tools) => [createHomeAssistantProvider(tools), guests] });
  userId = (await node.owner()).id;
  http = httpUnderTest(node.authority, { clock: node.clock });
});
afterAll(() => node?.stop());

const post = (path: string, body: object, token?: string) =>
  http.ask(path, {
    method: "POST",
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    body: JSON.stringify({ client_id, ...body }),
    from: home.address,
  });
async function codeFor(name: string, type: "authorize" | "link_user"): Promise<string> {
  const begun = await post("/auth/login_flow", { handler: ["guest", null], redirect_uri, type });
  const { flow_id } = begun.body as { readonly flow_id: string };
  const { body } = await post(`/auth/login_flow/${flow_id}`, { name });
  return (body as { readonly result: string }).result;
}
const linkCode = (name: string) => codeFor(name, "link_user");
const loginCode = (name: string) => codeFor(name, "authorize");
const link = async (code: string, token: string) => await post("/auth/link_user", { code }, token);
const guestsOfOwner = async () =>
  (await node.authority.credentials.list(userId)).flatMap(({ providerType, subject }) =>
    providerType === "guest" ? [subject] : [],
  );

it("a login that is no recent one links nothing, and does not use the code up", async () => {
  const { accessToken: stale } = await node.open(userId);
  node.clock.advance(15 * 60_000 + 1);
  const code = await linkCode("a");
  const refused = { status: 401, body: { code: "recent_login_required" } };
  expect(await link(code, stale)).toMatchObject(refused);
  const { accessToken: nobody } = await node.open(userId, { amr: [] });
  expect(await link(code, nobody)).toMatchObject(refused);
  expect(await guestsOfOwner()).toEqual([]);
  expect(await link(code, (await node.open(userId)).accessToken)).toMatchObject({ status: 200 });
  expect(await guestsOfOwner()).toEqual(["a"]);
  await unlink();
});

it("a code ends after ten minutes", async () => {
  const code = await linkCode("b");
  node.clock.advance(600_000 - 1);
  const { accessToken } = await node.open(userId);
  node.clock.advance(1);
  expect(await link(code, accessToken)).toMatchObject(badCode);
  const next = await linkCode("b");
  node.clock.advance(600_000 - 1);
  expect(await link(next, accessToken)).toMatchObject({ status: 200 });
  await unlink();
});

it("a login that proves one user is linked to no other one, and gives its user no rights", async () => {
  const { user } = await node.user("ben");
  guests.linkTo = user.id;
  const { accessToken } = await node.open(userId);
  const code = await linkCode("c");
  expect(await link(code, accessToken)).toMatchObject({ status: 403, body: { code: "not_allowed" } });
  expect(await link(code, accessToken)).toMatchObject(badCode);
  guests.linkTo = undefined;
  guests.profile = { name: "Root", groupIds: ["system-admin"] };
  const { accessToken: ofBen } = await node.open(user.id);
  expect(await link(await linkCode("d"), ofBen)).toMatchObject({ status: 200 });
  expect(await loginCode("d")).toMatch(/^[0-9a-f]{32}$/);
  expect(await node.authority.users.current(user.id)).toMatchObject({
    name: "ben",
    groupIds: ["system-users"],
  });
  guests.profile = undefined;
});

it("a service links nothing", async () => {
  const { refreshToken } = await node.authority.systemUsers.create({ name: "Service" });
  const fields = { grant_type: "refresh_token", refresh_token: refreshToken };
  const { body } = await http.ask("/auth/token", { method: "POST", body: new URLSearchParams(fields) });
  const { access_token } = body as { readonly access_token: string };
  expect(await link(await linkCode("e"), access_token)).toMatchObject({
    status: 401,
    body: { code: "recent_login_required" },
  });
});

async function unlink(): Promise<void> {
  const owned = await node.authority.credentials.list(userId);
  const id = owned.find(({ providerType }) => providerType === "guest")?.id ?? "";
  await node.authority.credentialRemovals.remove(userId, id, { keepLast: true });
}
