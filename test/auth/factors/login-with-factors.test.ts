import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createFactors } from "../../../src/auth/factors/factor-types.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { readRecord } from "../../../src/auth/store.ts";
import { openRedisStore } from "../../../src/store/redis/redis-store.ts";
import { abroad, home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { startRedis } from "../../support/redis-server.ts";
import { codeOf } from "../login/login-domain.ts";
import {
  codeAt,
  enrolledUser,
  formOf,
  grantOf,
  Login,
  outcomeOf,
  passwordSession,
  setUpTotp,
  shownIn,
  wrongCodeAt,
} from "./factor-people.ts";

let node: TestAuthority;
let other: TestAuthority;
beforeAll(async () => {
  node = await startAuthority({
    sessionCaps: { sessions: 200 },
    loginBudgets: {
      pair: { attempts: 1000, refillMs: 1 },
      address: { attempts: 1000, refillMs: 1 },
      account: { attempts: 1000, refillMs: 1 },
    },
  });
  await node.owner();
  other = await node.another();
});
afterAll(() => node?.stop());

const now = () => node.clock.now();
const many = { attempts: 1000, refillMs: 1 };
const roomyOptions = { loginBudgets: { pair: many, address: many, account: many, secondFactor: many } };

describe("a login of a user with an authenticator app", () => {
  it("asks for a code after the password, in Home Assistant's words", async () => {
    const { secret } = await enrolledUser(node, "ada");
    const login = await new Login(node).begin("ada");
    expect(login.step).toMatchObject({
      type: "form",
      step_id: "mfa",
      data_schema: [{ name: "code", type: "string", required: true }],
      errors: {},
      description_placeholders: { mfa_module_id: "totp", mfa_module_name: "Authenticator app" },
    });
    expect(outcomeOf(await login.send({ code: wrongCodeAt(secret, now()) }))).toBe("invalid_code");
    const { access_token } = grantOf(await login.send({ code: codeAt(secret, now()) }));
    const principal = await node.principal(access_token);
    expect(principal).toMatchObject({ assurance: 2, amr: ["pwd", "otp", "mfa"] });
  });

  it("ends after five wrong codes", async () => {
    const { secret } = await enrolledUser(node, "bob");
    const login = await new Login(node).begin("bob");
    for (let tries = 1; tries < 5; tries += 1)
      expect(outcomeOf(await login.send({ code: wrongCodeAt(secret, now()) }))).toBe("invalid_code");
    expect(outcomeOf(await login.send({ code: wrongCodeAt(secret, now()) }))).toBe("too_many_retry");
  });

  it("counts wrong codes for the person, across logins and nodes, and judges none beyond", async () => {
    const { secret, user } = await enrolledUser(node, "cyd");
    let refused = 0;
    for (let flow = 0; flow < 4; flow += 1) {
      const login = await new Login(node).begin("cyd");
      for (let tries = 0; tries < 4; tries += 1)
        await login.send({ code: wrongCodeAt(secret, now()) }, tries % 2 === 0 ? node : other).catch(() => {
          refused += 1;
        });
    }
    expect(refused).toBe(6);
    const login = await new Login(node).begin("cyd");
    expect(await codeOf(login.send({ code: codeAt(secret, now()) }))).toBe("rate_limited");
    const { throttles } = await node.authority.throttles.page({ after: undefined, limit: 100 });
    expect(throttles).toContainEqual(expect.objectContaining({ kind: "second_factor", userId: user.id }));
    node.clock.advance(300_000);
    const later = await new Login(node).begin("cyd");
    expect(outcomeOf(await later.send({ code: codeAt(secret, now()) }))).toBe("create_entry");
  });

  it.each(["embedded", "redis"] as const)(
    "takes a code once, though it is tried 50 times at once on two nodes, %s",
    async (kind) => {
      const redis = kind === "redis" ? await startRedis() : undefined;
      const stores = await Promise.all(
        [redis, redis].map((each) => each && openRedisStore({ url: each.url })),
      );
      const roomy = await startAuthority({
        ...(stores[0] === undefined ? {} : { store: stores[0], clock: handClock(Date.now()) }),
        ...roomyOptions,
      });
      await roomy.owner();
      const second =
        stores[1] === undefined
          ? await roomy.another()
          : await startAuthority({ ...roomyOptions, store: stores[1], clock: roomy.clock });
      const { secret } = await enrolledUser(roomy, "dan");
      const logins: Login[] = [];
      for (let at = 0; at < 50; at += 1)
        logins.push(await new Login(at % 2 === 0 ? roomy : second).begin("dan"));
      const code = codeAt(secret, roomy.clock.now());
      const outcomes = await Promise.all(
        logins.map((login) => login.send({ code }).then(outcomeOf, (error: Error) => error.message)),
      );
      expect(outcomes.filter((outcome) => outcome === "create_entry")).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === "invalid_code").length).toBeGreaterThan(0);
      if (stores[1] !== undefined) await second.stop();
      await roomy.stop();
      for (const store of stores) await store?.close();
      await redis?.dispose();
    },
  );

  it("takes no code of an earlier period after a later one, and codes one period off", async () => {
    const { secret } = await enrolledUser(node, "eve");
    const at = now();
    const attempt = async (code: string) =>
      outcomeOf(await (await new Login(node).begin("eve")).send({ code }));
    expect(await attempt(codeAt(secret, at + 30_000))).toBe("create_entry");
    expect(await attempt(codeAt(secret, at))).toBe("invalid_code");
    expect(await attempt(codeAt(secret, at + 30_000))).toBe("invalid_code");
    node.clock.advance(90_000);
    expect(await attempt(codeAt(secret, now() - 180_000))).toBe("invalid_code");
    expect(await attempt(codeAt(secret, now() - 30_000))).toBe("create_entry");
  });

  it("goes on at another node, where the code is judged", async () => {
    const { secret } = await enrolledUser(node, "fay");
    const login = await new Login(node).begin("fay");
    expect(formOf(await login.resume(other)).step_id).toBe("mfa");
    expect(outcomeOf(await login.send({ code: codeAt(secret, now()) }, other))).toBe("create_entry");
  });

  it("ends if the password, or the factor, has changed since the password was right", async () => {
    const { secret, user } = await enrolledUser(node, "gil");
    const changed = await new Login(node).begin("gil");
    await node.authority.localLogins.setPassword(user.id, "another horse battery");
    expect(outcomeOf(await changed.send({ code: codeAt(secret, now()) }))).toBe("not_allowed");
    const { secret: lost, user: hal } = await enrolledUser(node, "hal");
    const reset = await new Login(node).begin("hal");
    await node.authority.secondFactors.reset(hal.id, undefined, null);
    expect(outcomeOf(await reset.send({ code: codeAt(lost, now()) }))).toBe("not_enrolled");
  });

  it("asks for a factor that was set up while the login was at the password", async () => {
    const { user } = await node.user("ian");
    const login = await new Login(node).start();
    const { principal } = await passwordSession(node, "ian");
    await setUpTotp(node, principal);
    expect(outcomeOf(await login.send({ username: "ian", password: "correct horse battery" }))).toBe("mfa");
    expect(user.id).toBe(principal.userId);
  });
});

describe("recovery codes", () => {
  it("are one choice of several, and let their user in once each", async () => {
    const { principal, secret } = await enrolledUser(node, "joy");
    const { secondFactors } = node.authority;
    const form = await secondFactors.beginSetup("recovery", principal);
    const codes = shownIn(form).codes?.split("\n") ?? [];
    expect(new Set(codes).size).toBe(10);
    await secondFactors.advanceSetup(form.flow_id, {}, principal);
    const attempt = async (code: string, at = node) => {
      const login = await new Login(at).begin("joy");
      expect(login.step).toMatchObject({
        step_id: "select_mfa_module",
        data_schema: [
          {
            name: "multi_factor_auth_module",
            type: "select",
            options: [
              ["totp", "Authenticator app"],
              ["recovery", "Recovery codes"],
            ],
          },
        ],
      });
      expect(outcomeOf(await login.send({ multi_factor_auth_module: "recovery" }))).toBe("mfa");
      return outcomeOf(await login.send({ code }));
    };
    const [first = "", second = ""] = codes;
    expect(await attempt(first)).toBe("create_entry");
    expect(await attempt(first, other)).toBe("invalid_code");
    expect(await attempt(second.toLowerCase().replaceAll("-", " "), other)).toBe("create_entry");
    expect(await attempt(codeAt(secret, now()))).toBe("invalid_code");
  });

  it("cannot be a user's only factor", async () => {
    await node.user("kim");
    const { principal } = await passwordSession(node, "kim");
    expect(await codeOf(node.authority.secondFactors.beginSetup("recovery", principal))).toBe("not_allowed");
  });
});

describe("set-up and removal", () => {
  it("need a recent login, and belong to the session that began", async () => {
    await node.user("lea");
    const { principal } = await passwordSession(node, "lea");
    const { secondFactors } = node.authority;
    const form = await secondFactors.beginSetup("totp", principal);
    const code = codeAt(shownIn(form).code ?? "", now());
    const { principal: another } = await passwordSession(node, "lea");
    expect(await codeOf(secondFactors.advanceSetup(form.flow_id, { code }, another))).toBe("invalid_flow");
    node.clock.advance(16 * 180_000);
    expect(await codeOf(secondFactors.advanceSetup(form.flow_id, { code }, principal))).toBe(
      "recent_login_required",
    );
    expect(await codeOf(secondFactors.beginSetup("totp", principal))).toBe("recent_login_required");
    expect(await codeOf(secondFactors.remove("totp", principal))).toBe("recent_login_required");
  });

  it("need it too of an administrator who resets their own, and not for those of others", async () => {
    const [own, others] = [await enrolledUser(node, "pia"), await enrolledUser(node, "ron")];
    const { secondFactors } = node.authority;
    node.clock.advance(16 * 60_000);
    const resetting = (userId: string) => secondFactors.reset(userId, undefined, own.principal);
    expect(await codeOf(resetting(own.user.id))).toBe("recent_login_required");
    expect(await resetting(others.user.id)).toEqual(["totp"]);
  });

  it("show a QR code also of the longest names", async () => {
    const other = await startAuthority({
      factors: (tools) => createFactors([{ type: "totp", issuer: "😀".repeat(64) }], tools),
    });
    await other.owner();
    const { user } = await other.user("sue");
    const { principal } = await passwordSession(other, "sue");
    await other.authority.users.update(user.id, { name: "漢".repeat(128) });
    const { url = "", qr_code } = shownIn(await other.authority.secondFactors.beginSetup("totp", principal));
    await other.stop();
    expect(decodeURIComponent(url)).toContain(`:${"漢".repeat(47)}…?`);
    expect(qr_code).toMatch(/^<svg /);
  });

  it("keep the session on which a factor was set up, at level 2, and end the others", async () => {
    const { user } = await node.user("max");
    const before = await passwordSession(node, "max");
    const { sessions } = node.authority;
    const token = await sessions.openLongLived({
      userId: user.id,
      clientName: "script",
      clientIcon: null,
      days: 1,
      askedBy: before.principal.sessionId,
    });
    const { principal } = await passwordSession(node, "max");
    await setUpTotp(node, principal);
    const left = await sessions.list(user.id);
    expect(left.map(({ id, assurance, amr }) => ({ id, assurance, amr }))).toEqual([
      { id: principal.sessionId, assurance: 2, amr: ["pwd", "otp", "mfa"] },
    ]);
    expect(await node.authority.authentication.authenticate(token.accessToken, home)).toMatchObject({
      ok: false,
    });
    expect(await codeOf(node.principal(before.grant.access_token))).toContain("refused");
    const made = await sessions.openLongLived({
      userId: user.id,
      clientName: "script",
      clientIcon: null,
      days: 1,
      askedBy: principal.sessionId,
    });
    expect(made.session.assurance).toBe(2);
  });

  it("leave no recovery codes that were shown before a reset or a removal", async () => {
    const { user, principal } = await enrolledUser(node, "una");
    const { secondFactors } = node.authority;
    for (const end of [
      () => secondFactors.reset(user.id, undefined, null),
      () => secondFactors.remove("totp", principal),
    ]) {
      const form = await secondFactors.beginSetup("recovery", principal);
      await end();
      expect(await codeOf(secondFactors.advanceSetup(form.flow_id, {}, principal))).toBe("invalid_flow");
      expect(await secondFactors.of(user.id)).toMatchObject([{ enabled: false }, { enabled: false }]);
      await setUpTotp(node, principal);
    }
  });

  it("keep no recovery codes if the other factor is removed right before", async () => {
    const { user, principal } = await enrolledUser(node, "uli");
    const { secondFactors } = node.authority;
    const form = await secondFactors.beginSetup("recovery", principal);
    const before = await readRecord(node.store, recordKeys.factorSetup(user.id));
    await secondFactors.reset(user.id, undefined, null);
    // As if the set-up had been begun again, by a node that has not heard of the reset.
    await node.store.commit({ put: [{ key: recordKeys.factorSetup(user.id), value: before?.value ?? {} }] });
    expect(await codeOf(secondFactors.advanceSetup(form.flow_id, {}, principal))).toBe("not_allowed");
  });

  it("are thirty steps a minute at most: each may cost milliseconds", async () => {
    await node.user("vic");
    const { principal } = await passwordSession(node, "vic");
    const { secondFactors } = node.authority;
    const { flow_id } = await secondFactors.beginSetup("totp", principal);
    for (let count = 0; count < 4; count += 1)
      await secondFactors.advanceSetup(flow_id, { code: "000000" }, principal);
    for (let count = 0; count < 25; count += 1) await secondFactors.beginSetup("totp", principal);
    expect(await codeOf(secondFactors.beginSetup("totp", principal))).toBe("rate_limited");
    node.clock.advance(60_000);
    expect(await secondFactors.beginSetup("totp", principal)).toMatchObject({ type: "form" });
  });

  it("remove a factor with its recovery codes; a login needs none then", async () => {
    const { principal } = await enrolledUser(node, "nia");
    const { secondFactors } = node.authority;
    const form = await secondFactors.beginSetup("recovery", principal);
    await secondFactors.advanceSetup(form.flow_id, {}, principal);
    expect(await secondFactors.remove("totp", principal)).toEqual(["totp", "recovery"]);
    expect(await codeOf(secondFactors.remove("totp", principal))).toBe("disable_failed");
    expect((await new Login(node, abroad).begin("nia")).step.type).toBe("create_entry");
  });

  it("show the secret while it is set up, as QR code and URI, and never again", async () => {
    const { principal } = await enrolledUser(node, "oda");
    const form = await node.authority.secondFactors.beginSetup("totp", principal);
    const { code = "", url = "", qr_code = "" } = shownIn(form);
    expect(url).toBe(
      `otpauth://totp/Gatehouse:oda?issuer=Gatehouse&secret=${code}&algorithm=SHA1&digits=6&period=30`,
    );
    expect(qr_code).toMatch(/^<svg /);
    const done = await node.authority.secondFactors.advanceSetup(
      form.flow_id,
      { code: codeAt(code, now()) },
      principal,
    );
    expect(done).toMatchObject({ type: "create_entry", handler: "totp", data: { result: null } });
    expect(JSON.stringify(done)).not.toContain(code);
  });
});
