import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Secret } from "otpauth";
import { afterEach, beforeEach, expect, it } from "vitest";

import { createFactors } from "../../../src/auth/factors/factor-types.ts";
import { createNotify } from "../../../src/auth/factors/notify/notify.ts";
import type { CodeMessage } from "../../../src/auth/factors/notify/sender.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import type { Store } from "../../../src/auth/store.ts";
import { createAttempts } from "../../../src/auth/throttling/attempts.ts";
import { openEmbeddedStore } from "../../../src/store/embedded/embedded-store.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary-folder.ts";
import { codeAt, enrolledUser, Login, outcomeOf, passwordSession, shownIn } from "./factor-people.ts";
import { type Secrets, toldIn } from "./told-secrets.ts";

const many = { attempts: 1000, refillMs: 1 };
let folder: TemporaryFolder;
let store: Store;
let node: TestAuthority;
let sent: CodeMessage[];

beforeEach(async () => {
  folder = temporaryFolder();
  sent = [];
  const clock = handClock();
  const storeClock = { now: clock.now, monotonic: () => performance.now() };
  store = await openEmbeddedStore({ folder: folder.path, role: "gateway", clock: storeClock });
  node = await startAuthority({
    store,
    clock,
    factors: (tools) => [
      ...createFactors([{ type: "totp" }, { type: "recovery" }], tools),
      createNotify({
        ...tools,
        id: "notify",
        name: "Code by message",
        asksForTarget: true,
        message: "Your code is {}",
        send: async (message) => void sent.push(message),
        charge: createAttempts({ ...tools, budget: many }),
      }),
    ],
  });
  await node.owner();
});
afterEach(async () => {
  await node.stop();
  await store.close();
  folder.remove();
});

/** Every byte of the store: all records, its log, and what is left of older versions in pages that are free. */
function stored(): Buffer {
  const files = readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter((file) =>
    file.isFile(),
  );
  return Buffer.concat(files.map((file) => readFileSync(path.join(file.parentPath, file.name))));
}

/** In which forms the secret of an authenticator app would be readable. */
function appSecrets(secret: string): Secrets {
  const key = Secret.fromBase32(secret).bytes;
  return { "the app's secret": secret, "its bytes": key, "its URI": "otpauth:", "its QR code": "<svg" };
}

function codesIn(step: Parameters<typeof shownIn>[0]): Secrets {
  const codes = shownIn(step).codes?.split("\n") ?? [];
  expect(codes).toHaveLength(10);
  return Object.fromEntries(codes.map((code, at) => [`recovery code ${at}`, code]));
}

it("the search finds what is in a file of the store, also encoded", async () => {
  const key = randomBytes(20);
  const secrets = { key, text: new Secret({ buffer: Uint8Array.from(key).buffer }).base32, code: "048216" };
  const plant = async (text: string) => {
    await store.commit({ put: [{ key: recordKeys.factors("planted"), value: { text } }] });
    return toldIn(stored(), secrets);
  };
  // Digits that are a part of another word are there by chance.
  expect(await plant("1048216 0482160 a048216 1.048216")).toEqual([]);
  expect(await plant(`Your code is ${secrets.code}`)).toEqual(["code"]);
  expect(await plant(secrets.text)).toEqual(["text", "code"]);
  // What a box would be that is not encrypted: something before the secret, and something behind it.
  for (const encoding of ["hex", "base64", "base64url"] as const)
    for (const before of [0, 1, 2, 13]) {
      const boxed = Buffer.concat([randomBytes(before), key, randomBytes(16)]).toString(encoding);
      expect(toldIn(boxed, secrets)).toEqual(["key"]);
    }
  writeFileSync(path.join(folder.path, "planted"), key);
  expect(toldIn(stored(), secrets)).toEqual(["key", "text", "code"]);
});

it("no file has the secret of an authenticator app, nor a recovery code, while they are shown or afterwards", async () => {
  const { secondFactors } = node.authority;
  const { secret, principal } = await enrolledUser(node, "ada");
  expect(toldIn(stored(), appSecrets(secret))).toEqual([]);
  const replacing = await secondFactors.beginSetup("totp", principal);
  const shown = appSecrets(shownIn(replacing).code ?? "");
  await secondFactors.advanceSetup(replacing.flow_id, { code: "no code" }, principal);
  // The set-up is in the store: its id is found.
  expect(toldIn(stored(), { ...shown, flow: replacing.flow_id })).toEqual(["flow"]);
  const offering = await secondFactors.beginSetup("recovery", principal);
  const codes = codesIn(offering);
  expect(toldIn(stored(), { ...codes, flow: offering.flow_id })).toEqual(["flow"]);
  await secondFactors.advanceSetup(offering.flow_id, {}, principal);
  expect(toldIn(stored(), { ...codes, ...appSecrets(secret), user: principal.userId })).toEqual(["user"]);
  const byCode = await new Login(node).begin("ada");
  await byCode.send({ multi_factor_auth_module: "recovery" });
  expect(outcomeOf(await byCode.send({ code: String(codes["recovery code 3"]) }))).toBe("create_entry");
  expect(toldIn(stored(), { ...codes, ...appSecrets(secret), ...shown })).toEqual([]);
});

it("nor what a login has shown to somebody who sets one up within it", async () => {
  const { user } = await node.user("bob");
  const { group } = await node.authority.groups.create({ name: "Strict", policy: {} });
  await node.authority.groups.addMember({ groupId: group.id, userId: user.id });
  await node.authority.secondFactors.demand(group.id, true);
  const login = await new Login(node).begin("bob");
  await login.send({ multi_factor_auth_module: "totp" });
  const { code: secret = "" } = shownIn(login.step);
  const flow = login.step.flow_id;
  const app = appSecrets(secret);
  expect(toldIn(stored(), { ...app, flow })).toEqual(["flow"]);
  expect(outcomeOf(await login.send({ code: "no code" }))).toBe("invalid_code");
  const used = codeAt(secret, node.clock.now());
  const codes = codesIn(await login.send({ code: used }));
  const all = { ...app, ...codes, "the code that was used": used };
  expect(toldIn(stored(), { ...all, flow })).toEqual(["flow"]);
  expect(outcomeOf(await login.send({}))).toBe("create_entry");
  expect(toldIn(stored(), all)).toEqual([]);
});

it("nor a code that was sent, nor where to", async () => {
  await node.user("cyd");
  const { principal } = await passwordSession(node, "cyd");
  const { secondFactors } = node.authority;
  const target = "cyd@canary.example";
  const secrets = () => ({
    target,
    ...Object.fromEntries(sent.map(({ code }, at) => [`code ${at}`, code])),
  });
  const latest = () => sent.at(-1)?.code ?? "";
  const form = await secondFactors.beginSetup("notify", principal);
  await secondFactors.advanceSetup(form.flow_id, { target }, principal);
  expect(sent).toMatchObject([{ target, message: `Your code is ${latest()}` }]);
  expect(toldIn(stored(), { ...secrets(), flow: form.flow_id })).toEqual(["flow"]);
  await secondFactors.advanceSetup(form.flow_id, { code: "no code" }, principal);
  const done = await secondFactors.advanceSetup(form.flow_id, { code: latest() }, principal);
  expect(done.type).toBe("create_entry");
  expect(toldIn(stored(), { ...secrets(), user: principal.userId })).toEqual(["user"]);
  const login = await new Login(node).begin("cyd");
  expect(sent).toHaveLength(2);
  expect(toldIn(stored(), { ...secrets(), flow: login.step.flow_id })).toEqual(["flow"]);
  expect(outcomeOf(await login.send({ code: latest() }))).toBe("create_entry");
  expect(toldIn(stored(), secrets())).toEqual([]);
});
