import { afterEach, expect, it } from "vitest";

import { createFactors } from "../../../src/auth/factors/factor-types.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { readQrSvg } from "../../support/qr-reader.ts";
import { Login, passwordSession, shownIn } from "./factor-people.ts";

let node: TestAuthority;
afterEach(() => node.stop());

async function start(issuer: string) {
  node = await startAuthority({ factors: (tools) => createFactors([{ type: "totp", issuer }], tools) });
  await node.owner();
  const { user } = await node.user("ada");
  const { principal } = await passwordSession(node, "ada");
  return { user, principal };
}

it.each([
  ["a short name", "Gatehouse", "ada"],
  // The QR code has the form of the largest ones: blocks of two lengths, and its version beside the finders.
  ["the longest names", "😀".repeat(64), "漢".repeat(128)],
])("the picture of a set-up says the URI beside it, %s", async (_, issuer, name) => {
  const { user, principal } = await start(issuer);
  await node.authority.users.update(user.id, { name });
  const { secondFactors } = node.authority;
  const form = await secondFactors.beginSetup("totp", principal);
  const { url = "", qr_code = "", code = "" } = shownIn(form);
  expect(readQrSvg(qr_code)).toBe(url);
  const said = new URL(readQrSvg(qr_code));
  expect(said.searchParams.get("secret")).toBe(code);
  expect(said.searchParams.get("issuer")).toBe(issuer);
  // The form comes again, with the same secret, after a wrong code.
  const again = shownIn(await secondFactors.advanceSetup(form.flow_id, { code: "no code" }, principal));
  expect(readQrSvg(again.qr_code ?? "")).toBe(url);
});

it("so does the picture of a set-up within a login", async () => {
  const { user } = await start("Home");
  const { group } = await node.authority.groups.create({ name: "Strict", policy: {} });
  await node.authority.groups.addMember({ groupId: group.id, userId: user.id });
  await node.authority.secondFactors.demand(group.id, true);
  const { url = "", qr_code = "" } = shownIn((await new Login(node).begin("ada")).step);
  expect(url).toContain("otpauth://totp/Home:ada?");
  expect(readQrSvg(qr_code)).toBe(url);
});

it("a picture in which one module is wrong is not read", async () => {
  const { principal } = await start("Gatehouse");
  const { qr_code = "" } = shownIn(await node.authority.secondFactors.beginSetup("totp", principal));
  const runs = qr_code.match(/M\d+ \d+h1v1h-1z/g) ?? [];
  const removed = runs[Math.floor(runs.length / 2)] ?? "";
  expect(removed).not.toBe("");
  expect(() => readQrSvg(qr_code.replace(removed, ""))).toThrow("a scanner would not read it");
});
