import { Compile } from "typebox/compile";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { FlowStep } from "../../../protocol/flow.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { defaultLoginBudgets } from "../../../src/auth/throttling/login-throttle.ts";
import { userPut } from "../../../src/auth/users/user-record.ts";
import { type OpenStore, openStore } from "../tokens/installation.ts";
import {
  ada,
  addPerson,
  claimOf,
  client,
  codeOf,
  entryOf,
  forCode,
  grantOf,
  type LoginDomain,
  loginDomain,
  peer,
  startRequest,
  tryLogin,
  withoutId,
} from "./login-domain.ts";

let opened: OpenStore;
let domain: LoginDomain;

beforeEach(async () => {
  opened = await openStore();
  domain = await loginDomain(opened);
});

afterEach(async () => {
  await domain.close();
  await opened.dispose();
});

const { attempts } = defaultLoginBudgets.pair;
const wrong = { username: "ada", password: "wrong-horse" };

describe("a login", () => {
  it("starts with Home Assistant's form, key for key", async () => {
    const { step, flowSecret } = await domain.flows.start(startRequest(), peer);
    expect(step).toEqual({
      type: "form",
      flow_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      handler: ["homeassistant", null],
      step_id: "init",
      data_schema: [
        { name: "username", type: "string", required: true },
        { name: "password", type: "string", required: true },
      ],
      errors: {},
      description_placeholders: null,
      last_step: null,
      preview: null,
    });
    expect(Buffer.from(flowSecret, "base64url")).toHaveLength(32);
  });

  it("with the right password opens a live session", async () => {
    const user = await addPerson(domain);
    const step = await tryLogin(domain.flows, ada);
    expect(step).toMatchObject({ type: "create_entry", description: null, description_placeholders: null });
    const grant = grantOf(step);
    expect(grant).toMatchObject({
      token_type: "Bearer",
      expires_in: 1800,
      ha_auth_provider: "homeassistant",
    });
    expect(await domain.sessions.get(grant.session_id)).toMatchObject({
      userId: user.id,
      type: "normal",
      clientId: client,
      amr: ["pwd"],
      assurance: 1,
      rotates: true,
      lastUsedIp: peer.address,
      authenticatedAt: domain.clock.now(),
    });
    expect(Compile(FlowStep).Check(step)).toBe(true);
  });

  it("for a code gives one that redeems to the person, the client and the challenge", async () => {
    const user = await addPerson(domain);
    const codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const { result } = entryOf(await tryLogin(domain.flows, ada, { ...forCode, codeChallenge }));
    expect(result).toMatch(/^[0-9a-f]{32}$/);
    const codeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const request = { code: String(result), clientId: client, codeVerifier, peer };
    const { grant } = await domain.codes.redeem(request);
    expect(grant).toMatchObject({ userId: user.id, clientId: client, redirectUri: forCode.redirectUri });
    expect(await domain.sessions.list(user.id)).toEqual([]);
  });

  it("accepts the name in any spelling", async () => {
    await addPerson(domain);
    for (const username of ["ADA", "  ada ", "ＡＤＡ", "Ada\u3000"]) {
      expect(await tryLogin(domain.flows, { ...ada, username })).toMatchObject({ type: "create_entry" });
    }
  });

  it("can continue after wrong passwords", async () => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      const { step } = await domain.flows.advance({ ...claimOf(started), input: wrong }, peer);
      expect(step).toMatchObject({ type: "form", step_id: "init", errors: { base: "invalid_auth" } });
      expect(Compile(FlowStep).Check(step)).toBe(true);
    }
    const last = await domain.flows.advance({ ...claimOf(started), input: ada }, peer);
    expect(last.step.type).toBe("create_entry");
  });

  it("ends with the fifth wrong password; the right one is then refused", async () => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const send = async (input: object) =>
      (await domain.flows.advance({ ...claimOf(started), input: { ...input } }, peer)).step;
    for (let attempt = 1; attempt <= 4; attempt += 1) await send(wrong);
    expect(await send(wrong)).toEqual({
      type: "abort",
      flow_id: started.step.flow_id,
      handler: ["homeassistant", null],
      reason: "too_many_retry",
      description_placeholders: null,
    });
    expect(await codeOf(send(ada))).toBe("invalid_flow");
  });

  it("leaves nothing of the flow behind, and its step cannot be replayed", async () => {
    const user = await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const request = { ...claimOf(started), input: ada };
    expect((await domain.flows.advance(request, peer)).step.type).toBe("create_entry");
    expect(await domain.store.get([recordKeys.flow(started.step.flow_id)])).toEqual([undefined]);
    expect(await codeOf(domain.flows.advance(request, peer))).toBe("invalid_flow");
    expect(await codeOf(domain.flows.resume(request, peer))).toBe("invalid_flow");
    expect(await codeOf(domain.flows.cancel(request))).toBe("invalid_flow");
    expect(await domain.sessions.list(user.id)).toHaveLength(1);
  });

  it("can be cancelled, once", async () => {
    const started = await domain.flows.start(startRequest(), peer);
    expect(await domain.flows.cancel(claimOf(started))).toMatchObject({ type: "abort", reason: "cancelled" });
    expect(await codeOf(domain.flows.cancel(claimOf(started)))).toBe("invalid_flow");
  });
});

describe("who may not log in", () => {
  async function refusals(): Promise<Record<string, () => Promise<string>>> {
    const people = {
      inactive: await addPerson(domain, { ...ada, username: "inactive" }),
      remote: await addPerson(domain, { ...ada, username: "remote" }),
      system: await addPerson(domain, { ...ada, username: "system" }),
      waiting: await addPerson(domain, { ...ada, username: "waiting" }),
    };
    await addPerson(domain);
    await domain.users.update(people.inactive.id, { isActive: false });
    await domain.users.update(people.remote.id, { localOnly: true });
    await domain.store.commit({ put: [userPut({ ...people.system, systemGenerated: true })] });
    await domain.store.commit({ put: [userPut({ ...people.waiting, state: "pending" })] });
    const attempt = (input: object) => async () => withoutId(await tryLogin(domain.flows, { ...input }));
    return {
      "wrong password": attempt(wrong),
      "unknown name": attempt({ ...ada, username: "nobody" }),
      "empty name": attempt({ ...ada, username: "" }),
      "user who waits for approval": attempt({ ...ada, username: "waiting" }),
      "deactivated user": attempt({ ...ada, username: "inactive" }),
      "local-only user from outside": attempt({ ...ada, username: "remote" }),
      "system user": attempt({ ...ada, username: "system" }),
      "password that is too long": attempt({ ...ada, password: "\ufdfa".repeat(1000) }),
    };
  }

  it("gets the same answer byte for byte, after the same hashing", async () => {
    const answers = new Set<string>();
    for (const [name, attempt] of Object.entries(await refusals())) {
      const before = domain.passwords.load().runs;
      answers.add(await attempt());
      expect(`${name}: ${domain.passwords.load().runs - before}`).toBe(`${name}: 1`);
    }
    expect([...answers]).toEqual([expect.stringContaining(`"errors":{"base":"invalid_auth"}`)]);
  });

  it("may log in after a change: activated, or at a local address", async () => {
    await refusals();
    const home = { address: "192.168.1.20" };
    const started = await domain.flows.start(startRequest(), home);
    const input = { ...ada, username: "remote" };
    expect((await domain.flows.advance({ ...claimOf(started), input }, home)).step.type).toBe("create_entry");
  });
});

describe("parallel steps", () => {
  const burst = (input: Readonly<Record<string, unknown>>, claim: { flowId: string; flowSecret: string }) =>
    Array.from({ length: 50 }, () =>
      domain.flows.advance({ ...claim, input }, peer).then(
        ({ step }) => step.type,
        (error) => String(error.code),
      ),
    );

  it("with the right password open one session", async () => {
    const user = await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const outcomes = await Promise.all(burst(ada, claimOf(started)));
    expect(outcomes.filter((outcome) => outcome === "create_entry")).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(["create_entry", "conflict", "rate_limited"]));
    expect(outcomes.filter((outcome) => outcome !== "rate_limited")).toHaveLength(attempts);
    expect(await domain.sessions.list(user.id)).toHaveLength(1);
  });

  it("with wrong passwords hash no more than the flow's attempts", async () => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const before = domain.passwords.load().runs;
    for (let round = 0; round < 8; round += 1) await Promise.all(burst(wrong, claimOf(started)));
    expect(domain.passwords.load().runs - before).toBe(5);
    expect(await codeOf(domain.flows.resume(claimOf(started), peer))).toBe("invalid_flow");
  });

  it("and a cancel: either the session or the cancel", async () => {
    const user = await addPerson(domain);
    for (let round = 1; round <= 10; round += 1) {
      const before = (await domain.sessions.list(user.id)).length;
      const started = await domain.flows.start(startRequest(), peer);
      const [login, cancel] = await Promise.all([
        codeOf(domain.flows.advance({ ...claimOf(started), input: ada }, peer)),
        codeOf(domain.flows.cancel(claimOf(started))),
      ]);
      expect([login, cancel].filter((code) => code === "no error")).toHaveLength(1);
      const made = (await domain.sessions.list(user.id)).length - before;
      expect(made).toBe(login === "no error" ? 1 : 0);
    }
  });
});

describe("flow secrets", () => {
  it("give access to their own flow only; a wrong one is answered like an unknown flow", async () => {
    const mine = await domain.flows.start(startRequest(), peer);
    const theirs = await domain.flows.start(startRequest(), peer);
    const claims = [
      { flowId: mine.step.flow_id, flowSecret: theirs.flowSecret },
      { flowId: mine.step.flow_id, flowSecret: "" },
      { flowId: mine.step.flow_id, flowSecret: `${mine.flowSecret}A` },
      { flowId: mine.step.flow_id, flowSecret: mine.flowSecret.slice(1) },
      { flowId: "0".repeat(32), flowSecret: mine.flowSecret },
      { flowId: "../../user:1", flowSecret: mine.flowSecret },
      { flowId: `${mine.step.flow_id}\n`, flowSecret: mine.flowSecret },
      { flowId: "", flowSecret: "" },
    ];
    for (const claim of claims) {
      expect(await codeOf(domain.flows.advance({ ...claim, input: ada }, peer))).toBe("invalid_flow");
      expect(await codeOf(domain.flows.resume(claim, peer))).toBe("invalid_flow");
      expect(await codeOf(domain.flows.cancel(claim))).toBe("invalid_flow");
    }
    expect((await domain.flows.resume(claimOf(mine), peer)).step.type).toBe("form");
  });

  it("are not in the store, nor is the input", async () => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    await domain.flows.advance({ ...claimOf(started), input: wrong }, peer);
    const stored = JSON.stringify(await domain.store.get([recordKeys.flow(started.step.flow_id)]));
    expect(stored).toContain("secretHash");
    // Quoted: three letters come up in an id by themselves.
    for (const secret of [started.flowSecret, wrong.password, `"${wrong.username}"`])
      expect(stored).not.toContain(secret);
  });
});

describe("what a client must bring", () => {
  const bad = "http://user@evil.example/";
  it.each([
    ["a code without a client", { ...forCode, clientId: null }, "invalid_client"],
    ["a code with a broken client", { ...forCode, clientId: bad }, "invalid_client"],
    ["a code without a redirect URI", { ...forCode, redirectUri: null }, "invalid_redirect_uri"],
    [
      "a code for another origin",
      { ...forCode, redirectUri: "https://evil.example/" },
      "invalid_redirect_uri",
    ],
    ["a code for a script", { ...forCode, redirectUri: "javascript:alert(1)" }, "invalid_redirect_uri"],
    ["a session with a broken client", { clientId: bad }, "invalid_client"],
    [
      "a redirect URI without a client",
      { clientId: null, redirectUri: "https://a.example/" },
      "invalid_redirect_uri",
    ],
    ["a challenge that is no SHA-256", { ...forCode, codeChallenge: "a".repeat(43) }, "invalid_format"],
    ["an unknown provider", { handler: ["trusted_networks", null] as [string, null] }, "invalid_handler"],
    ["an unknown instance", { handler: ["homeassistant", "2"] as [string, string] }, "invalid_handler"],
    ["a property of Object", { handler: ["__proto__", null] as [string, null] }, "invalid_handler"],
  ])("%s is refused before a password is asked for", async (_name, changes, code) => {
    expect(await codeOf(domain.flows.start(startRequest(changes), peer))).toBe(code);
  });

  it("a session needs no client", async () => {
    await addPerson(domain);
    const grant = grantOf(await tryLogin(domain.flows, ada, { clientId: null }));
    expect(await domain.sessions.get(grant.session_id)).toMatchObject({ clientId: null });
  });

  it("nobody logs in before there is an owner", async () => {
    const fresh = await loginDomain(opened, { onboardingRequired: true });
    expect(await codeOf(fresh.flows.start(startRequest(), peer))).toBe("onboarding_required");
    await fresh.close();
  });
});

describe("input", () => {
  it.each([
    ["a missing field", { username: "ada" }],
    ["nothing", {}],
    ["a number for a text", { username: "ada", password: 12345678 }],
    ["null", { username: "ada", password: null }],
    ["an object", { username: "ada", password: { $ne: "" } }],
    ["an array", { username: ["ada"], password: ada.password }],
    ["an unknown field", { ...ada, admin: true }],
    ["a poisoned field", JSON.parse(`{"username":"ada","password":"x","__proto__":{"a":1}}`)],
    ["another's field", { ...ada, flow_id: "x" }],
    ["a huge text", { username: "ada", password: "x".repeat(1025) }],
    ["an inherited field", Object.create({ ...ada })],
  ])("with %s is refused without an attempt, and the flow stays", async (_name, input) => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const before = domain.passwords.load().runs;
    for (let round = 0; round < 6; round += 1) {
      expect(await codeOf(domain.flows.advance({ ...claimOf(started), input }, peer))).toBe("invalid_format");
    }
    expect(domain.passwords.load().runs).toBe(before);
    const { step } = await domain.flows.advance({ ...claimOf(started), input: ada }, peer);
    expect(step.type).toBe("create_entry");
  });
});
