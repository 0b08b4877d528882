import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { FlowStep } from "../../../../protocol/flow.ts";
import { attributesOf } from "../../../../protocol/scram.ts";
import type { AuthError } from "../../../../src/auth/errors.ts";
import {
  changeEnrolmentsStep,
  newEnrolment,
  readEnrolments,
} from "../../../../src/auth/factors/enrolments.ts";
import type { Factor } from "../../../../src/auth/factors/factor.ts";
import type { FlowAnswer } from "../../../../src/auth/login/login-flows.ts";
import type { Peer } from "../../../../src/auth/model.ts";
import { listParameters } from "../../../../src/auth/passwords/parameters-in-use.ts";
import { createStandIns, resealStandIns } from "../../../../src/auth/passwords/stand-in.ts";
import { localLoginPut, readLocalLogin } from "../../../../src/auth/providers/homeassistant/login-record.ts";
import { recordKeys } from "../../../../src/auth/record-keys.ts";
import { createSealing, type Sealing } from "../../../../src/auth/tokens/sealing.ts";
import { formOf, proofScrypt, proving, serverFirstOf } from "../../../support/scram-client.ts";
import {
  ada,
  addPerson,
  claimOf,
  codeOf,
  type DomainOptions,
  grantOf,
  type LoginDomain,
  loginDomain,
  peer,
  startRequest,
} from "../../login/login-domain.ts";
import { type OpenStore, openStore } from "../../tokens/installation.ts";

let opened: OpenStore;
const nodes: LoginDomain[] = [];
const wrong = "not the password";

async function node(options: DomainOptions = {}, parameters = proofScrypt): Promise<LoginDomain> {
  const made = await loginDomain(opened, { passwords: { parameters }, ...options });
  nodes.push(made);
  return made;
}

beforeEach(async () => {
  opened = await openStore();
});

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((each) => each.close()));
  await opened.dispose();
});

/** Starts a flow with the first message of a proof in it. */
async function startProof({ flows }: LoginDomain, username: string, from: Peer = peer) {
  const proof = proving(username);
  const { mechanism, initial_response: response } = proof.input;
  const answer = await flows.start(startRequest({ initial: { mechanism, response } }), from);
  return { proof, answer };
}

async function send(
  { flows }: LoginDomain,
  answer: FlowAnswer,
  input: object,
  from: Peer = peer,
): Promise<FlowStep> {
  return (await flows.advance({ ...claimOf(answer), input: { ...input } }, from)).step;
}

async function prove(domain: LoginDomain, username: string, password: string, from: Peer = peer) {
  const { proof, answer } = await startProof(domain, username, from);
  const { client_final, serverFinal } = await proof.final(answer.step, password);
  const step = await send(domain, answer, { client_final }, from);
  return { answer, client_final, serverFinal, step };
}

describe("a password that is proved", () => {
  it("logs in, and the server proves that it knows the verifier", async () => {
    const domain = await node();
    const user = await addPerson(domain);
    const runs = domain.passwords.load().runs;
    const { step, serverFinal, answer } = await prove(domain, "ada", ada.password);
    expect(formOf(answer.step)).toMatchObject({ step_id: "scram", data_schema: [{ name: "client_final" }] });
    expect(step).toMatchObject({ type: "create_entry", server_final: serverFinal });
    expect(await domain.sessions.get(grantOf(step).session_id)).toMatchObject({
      userId: user.id,
      amr: ["pwd"],
    });
    expect(domain.passwords.load().runs).toBe(runs);
  });

  it("answers the form that was shown, which says how it may be answered", async () => {
    const domain = await node();
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    expect(formOf(started.step).mechanisms).toEqual(["SCRAM-SCRYPT"]);
    const proof = proving("ADA");
    const challenge = await send(domain, started, proof.input);
    const { client_final } = await proof.final(challenge, wrong);
    const refused = await send(domain, started, { client_final });
    expect(refused).toMatchObject({
      step_id: "init",
      errors: { base: "invalid_auth" },
      mechanisms: ["SCRAM-SCRYPT"],
    });
    // The password itself still does.
    expect(await send(domain, started, ada)).toMatchObject({ type: "create_entry" });
  });

  it("can be begun anew, with another name, without a try", async () => {
    const domain = await node({
      budgets: { pair: { attempts: 1, refillMs: 60_000 } },
      limits: { attempts: 1 },
    });
    await addPerson(domain);
    const { answer } = await startProof(domain, "nobody");
    for (const _ of [1, 2]) await send(domain, answer, proving("somebody").input);
    const proof = proving("ada");
    const { client_final } = await proof.final(await send(domain, answer, proof.input), ada.password);
    expect(await send(domain, answer, { client_final })).toMatchObject({ type: "create_entry" });
  });

  it("goes on at another node", async () => {
    const [one, two] = [await node(), await node()];
    await addPerson(one);
    const { proof, answer } = await startProof(one, "ada");
    const { client_final, serverFinal } = await proof.final(answer.step, ada.password);
    expect(await send(two, answer, { client_final })).toMatchObject({ server_final: serverFinal });
  });

  it("is refused once the password was changed", async () => {
    const domain = await node();
    const user = await addPerson(domain);
    const { proof, answer } = await startProof(domain, "ada");
    const { client_final } = await proof.final(answer.step, ada.password);
    await domain.logins.setPassword(user.id, "another password entirely");
    expect(await send(domain, answer, { client_final })).toMatchObject({ errors: { base: "invalid_auth" } });
  });
});

describe("somebody who repeats what was said", () => {
  it("gets nothing for a proof that was judged, in its flow or in another", async () => {
    const domain = await node();
    await addPerson(domain);
    const { answer, client_final } = await prove(domain, "ada", wrong);
    expect(await codeOf(send(domain, answer, { client_final }))).toBe("invalid_format");
    const good = await prove(domain, "ada", ada.password);
    expect(good.step.type).toBe("create_entry");
    expect(await codeOf(send(domain, good.answer, { client_final: good.client_final }))).toBe("invalid_flow");
    const again = await startProof(domain, "ada");
    expect(await send(domain, again.answer, { client_final: good.client_final })).toMatchObject({
      errors: { base: "invalid_auth" },
    });
  });

  it("gets another nonce for the same first message", async () => {
    const domain = await node();
    await addPerson(domain);
    const { mechanism, initial_response: response } = proving("ada").input;
    const answers = await Promise.all(
      [1, 2, 3].map(() => domain.flows.start(startRequest({ initial: { mechanism, response } }), peer)),
    );
    expect(new Set(answers.map(({ step }) => attributesOf(serverFirstOf(step))?.get("r"))).size).toBe(3);
  });
});

describe("names without a login, and people who may not log in", () => {
  it("get the answers of everybody else, from the same look-ups", async () => {
    const domain = await node();
    const names = ["ada", "gone", "away", "nobody"] as const;
    await addPerson(domain);
    const gone = await addPerson(domain, { username: "gone", password: ada.password });
    await domain.users.update(gone.id, { isActive: false });
    const away = await addPerson(domain, { username: "away", password: ada.password });
    await domain.users.update(away.id, { localOnly: true });
    const reads = readsOf(domain);
    const seen = [];
    for (const name of names) {
      reads.splice(0);
      const { answer, step } = await prove(domain, name, name === "ada" ? wrong : ada.password);
      const { step_id, data_schema, description_placeholders, ...first } = formOf(answer.step);
      const attributes = attributesOf(description_placeholders?.server_first ?? "");
      const shape = [...(attributes ?? [])].map(([key, value]) =>
        "rs".includes(key) ? [key, value.length] : [key, value],
      );
      seen.push({
        first: {
          ...first,
          flow_id: "",
          step_id,
          data_schema,
          shape,
          keys: Object.keys(description_placeholders ?? {}),
        },
        step: { ...step, flow_id: "" },
        reads: [...reads],
      });
    }
    for (const each of seen) expect(each).toEqual(seen[0]);
    expect(seen[0]?.step).toMatchObject({ type: "form", step_id: "init", errors: { base: "invalid_auth" } });
  });

  it("have a salt of their own that stays, on every node", async () => {
    const [one, two] = [await node(), await node()];
    await addPerson(one);
    const saltOf = async (domain: LoginDomain, name: string) =>
      attributesOf(serverFirstOf((await startProof(domain, name)).answer.step))?.get("s");
    const first = await saltOf(one, "nobody");
    expect([await saltOf(one, "nobody"), await saltOf(two, "NoBody")]).toEqual([first, first]);
    expect(await saltOf(one, "nobody else")).not.toBe(first);
    expect(await saltOf(one, "ada")).toBe(await saltOf(two, "ADA"));
  });

  it("keep their salts when the installation's secret is replaced, as everybody does", async () => {
    const [first, second] = [createSealing(randomBytes(32)), createSealing(randomBytes(32))];
    const kept = async () => (await opened.store.get([recordKeys.standIns]))[0];
    const saltAt = async (sealing: Sealing) =>
      createStandIns(sealing)(await kept(), "local", "nobody", [proofScrypt]).salt;
    const before = await saltAt(first);
    for (const [from, to] of [
      [first, second],
      // Another call, as after one that was cut short.
      [first, second],
      [second, first],
    ] as const) {
      await resealStandIns({ store: opened.store, from, to });
      expect(await saltAt(to)).toBe(before);
      await expect(saltAt(from)).rejects.toThrow();
    }
    // A login asks for the record: that of another installation is none.
    expect(await codeOf(startProof(await node(), "nobody"))).toBe("unavailable");
  });

  it("have the costs that passwords have, and keep them when another comes into use", async () => {
    const domain = await node();
    const costOf = async (name: string) => {
      const attributes = attributesOf(serverFirstOf((await startProof(domain, name)).answer.step));
      return `${attributes?.get("i")} ${attributes?.get("l")} ${attributes?.get("s")}`;
    };
    const names = Array.from({ length: 40 }, (_, nth) => `nobody ${nth}`);
    const before = await Promise.all(names.map(costOf));
    await listParameters(domain.store, proofScrypt);
    await listParameters(domain.store, { N: 2 ** 16, r: 8, p: 2 });
    const after = await Promise.all(names.map(costOf));
    const kept = after.filter((cost, nth) => cost === before[nth]).length;
    expect(after.every((cost, nth) => cost === before[nth] || cost.startsWith("65536 2"))).toBe(true);
    expect([kept > 5, kept < 35]).toEqual([true, true]);
  });

  it.each([{ closed: true }, { replaced: true }])("are refused while their login is %o", async (state) => {
    const domain = await node();
    await addPerson(domain);
    const stored = await readLocalLogin(domain.store, null, "ada");
    if (stored === undefined) throw new Error("no login");
    await domain.store.commit({ put: localLoginPut({ ...stored.login, ...state }) });
    expect(await prove(domain, "ada", ada.password)).toMatchObject({
      step: { errors: { base: "invalid_auth" } },
    });
  });

  it("are refused in the form's words when a user is deactivated at the last moment", async () => {
    let deactivate: () => Promise<void> = async () => undefined;
    const domain = await node({ beforeCommit: () => deactivate() });
    const user = await addPerson(domain);
    const { proof, answer } = await startProof(domain, "ada");
    const { client_final } = await proof.final(answer.step, ada.password);
    deactivate = async () => {
      deactivate = async () => undefined;
      await domain.users.update(user.id, { isActive: false });
    };
    const step = await send(domain, answer, { client_final });
    expect(step).toMatchObject({ step_id: "init", errors: { base: "invalid_auth" } });
    expect(step).not.toHaveProperty("server_final");
  });
});

describe("tries", () => {
  it("are those of the form: one count, whichever way", async () => {
    const domain = await node({ budgets: { pair: { attempts: 3, refillMs: 60_000 } } });
    await addPerson(domain);
    await prove(domain, "ada", wrong);
    await prove(domain, "Ada", wrong);
    const form = await domain.flows.start(startRequest(), peer);
    await send(domain, form, { username: "ada", password: wrong });
    expect(await codeOf(prove(domain, "ada", ada.password))).toBe("rate_limited");
    expect(await codeOf(send(domain, form, ada))).toBe("rate_limited");
    // The server's first message is no verdict, so it costs nothing.
    expect((await startProof(domain, "ada")).answer.step.type).toBe("form");
  });

  it("are told no more verdicts than are left, if many come at once, to two nodes: the right one among them is refused", async () => {
    const budgets = { pair: { attempts: 3, refillMs: 60_000 } };
    const domains = [await node({ budgets }), await node({ budgets })] as const;
    await addPerson(domains[0]);
    const guesses = await Promise.all(
      Array.from({ length: 24 }, async (_, nth) => {
        const domain = domains[nth % 2 === 0 ? 0 : 1];
        const { proof, answer } = await startProof(domain, "ada");
        const { client_final } = await proof.final(answer.step, nth === 23 ? ada.password : wrong);
        return { domain, answer, client_final };
      }),
    );
    const told = await Promise.all(
      guesses.map(({ domain, answer, client_final }) => codeOf(send(domain, answer, { client_final }))),
    );
    expect(told.filter((code) => code === "no error")).toHaveLength(3);
    expect(told.filter((code) => code === "rate_limited")).toHaveLength(21);
    expect(told[23]).toBe("rate_limited");
  });

  it("at once in one flow, also at two nodes, give one session, and one verdict to each form", async () => {
    const domains = [await node(), await node()] as const;
    const user = await addPerson(domains[0]);
    const { proof, answer } = await startProof(domains[0], "ada");
    const right = await proof.final(answer.step, ada.password);
    const sendAll = async (client_final: string, to: FlowAnswer) =>
      await Promise.all(
        Array.from({ length: 12 }, (_, nth) =>
          codeOf(send(domains[nth % 2 === 0 ? 0 : 1], to, { client_final })),
        ),
      );
    const outcomes = await sendAll(right.client_final, answer);
    expect(outcomes.filter((code) => code === "no error")).toHaveLength(1);
    for (const code of outcomes) expect(["no error", "conflict", "invalid_flow"]).toContain(code);
    expect(await domains[0].sessions.list(user.id)).toHaveLength(1);
    const second = await startProof(domains[0], "ada");
    const bad = await second.proof.final(second.answer.step, wrong);
    const refusals = await sendAll(bad.client_final, second.answer);
    expect(refusals.filter((code) => code === "no error")).toHaveLength(1);
  });

  it("at once begin a second factor once: it may send a message", async () => {
    let begun = 0;
    const counting: Factor = {
      ...{ id: "counting", type: "counting", name: "Counting", attempts: 3, guessable: true },
      ...{ backup: false, verifiesUser: false },
      beginSetup: async () => ({ kind: "abort", reason: "not_here" }),
      advanceSetup: async () => ({ kind: "abort", reason: "not_here" }),
      async begin() {
        begun += 1;
        return { kind: "form", fields: [{ name: "code", type: "string", required: true }], state: {} };
      },
      verify: async () => ({ kind: "abort", reason: "not_here" }),
    };
    const options = { factors: () => [counting] };
    const domains = [await node(options), await node(options)] as const;
    const user = await addPerson(domains[0]);
    const none = await readEnrolments(domains[0].store, user.id);
    const enrolment = newEnrolment(counting.id, {}, opened.clock.now());
    await domains[0].store.commit(changeEnrolmentsStep(user.id, none, [enrolment]));
    const { proof, answer } = await startProof(domains[0], "ada");
    const { client_final } = await proof.final(answer.step, ada.password);
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, nth) =>
        codeOf(send(domains[nth % 2 === 0 ? 0 : 1], answer, { client_final })),
      ),
    );
    expect(outcomes.filter((code) => code === "no error")).toHaveLength(1);
    expect(begun).toBe(1);
  });

  it("that another call has overtaken name the user all the same, for the audit log", async () => {
    const domain = await node();
    const user = await addPerson(domain);
    const { proof, answer } = await startProof(domain, "ada");
    const { client_final } = await proof.final(answer.step, wrong);
    const both = [1, 2].map(() =>
      domain.flows.advance({ ...claimOf(answer), input: { client_final } }, peer),
    );
    const settled = await Promise.allSettled(both);
    const lost = settled.find((each) => each.status === "rejected");
    expect(lost?.reason).toMatchObject({ code: "conflict" });
    expect(await (lost?.reason as AuthError | undefined)?.userId?.()).toBe(user.id);
  });

  it("that are right cost two commits: the start, and the end with its session", async () => {
    const domain = await node();
    await addPerson(domain);
    const commit = vi.spyOn(domain.store, "commit");
    await prove(domain, "ada", ada.password);
    // The address is remembered.
    expect(commit).toHaveBeenCalledTimes(3);
    await prove(domain, "ada", ada.password);
    expect(commit).toHaveBeenCalledTimes(5);
    opened.clock.pass(2 * 86_400_000);
    await prove(domain, "ada", ada.password);
    expect(commit).toHaveBeenCalledTimes(8);
  });

  it("of unknown names count too, and five of a flow end it", async () => {
    const domain = await node();
    const started = await domain.flows.start(startRequest(), peer);
    const steps: FlowStep[] = [];
    for (let nth = 0; nth < 5; nth += 1) {
      const proof = proving("nobody");
      const { client_final } = await proof.final(await send(domain, started, proof.input), wrong);
      steps.push(await send(domain, started, { client_final }));
    }
    expect(steps.map(({ type }) => type)).toEqual(["form", "form", "form", "form", "abort"]);
  });

  it("are not charged for a message that breaks the grammar", async () => {
    const domain = await node({
      budgets: { pair: { attempts: 1, refillMs: 60_000 } },
      limits: { attempts: 1 },
    });
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    for (const initial_response of ["", "n,,n=ada", "x".repeat(2_000)])
      expect(await codeOf(send(domain, started, { mechanism: "SCRAM-SCRYPT", initial_response }))).toBe(
        "invalid_format",
      );
    expect(await codeOf(send(domain, started, { mechanism: "PLAIN", initial_response: "x" }))).toBe(
      "invalid_format",
    );
    expect(await codeOf(send(domain, started, { ...ada, mechanism: "SCRAM-SCRYPT" }))).toBe("invalid_format");
    const proof = proving("ada");
    const challenge = await send(domain, started, proof.input);
    for (const client_final of ["", "c=biws", 7])
      expect(await codeOf(send(domain, started, { client_final }))).toBe("invalid_format");
    const { client_final } = await proof.final(challenge, ada.password);
    expect(await send(domain, started, { client_final })).toMatchObject({ type: "create_entry" });
  });
});

describe("a cost below the floor", () => {
  const low = { N: 2 ** 10, r: 8, p: 1 } as const;

  it("of new passwords: the form alone is offered", async () => {
    const domain = await node({}, low as never);
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    expect(started.step).not.toHaveProperty("mechanisms");
    expect(await codeOf(send(domain, started, proving("ada").input))).toBe("invalid_format");
    const { answer } = await startProof(domain, "ada");
    expect(formOf(answer.step).step_id).toBe("init");
  });

  it("of one stored password: its proof is refused as an unknown name's, and the form takes it", async () => {
    const old = await node({}, low as never);
    await addPerson(old, { username: "old", password: ada.password });
    const domain = await node();
    await addPerson(domain);
    for (const [name, password] of [
      ["old", ada.password],
      ["ada", wrong],
      ["nobody", wrong],
    ] as const)
      expect(await prove(domain, name, password)).toMatchObject({
        step: { step_id: "init", errors: { base: "invalid_auth" }, send_password: true },
      });
    expect(await prove(domain, "ada", ada.password)).toMatchObject({ step: { type: "create_entry" } });
    expect(await domain.provider.warnings?.()).toEqual([expect.stringContaining("(N=1024 r=8 p=1)")]);
    const form = await domain.flows.start(startRequest(), peer);
    await send(domain, form, { username: "old", password: ada.password });
    await domain.logins.retireParameters();
    expect(await domain.provider.warnings?.()).toEqual([]);
    expect(await prove(domain, "old", ada.password)).toMatchObject({ step: { type: "create_entry" } });
    expect((await prove(domain, "nobody", wrong)).step).not.toHaveProperty("send_password");
  });
});

describe("a connection that can be bound to", () => {
  const value = Buffer.alloc(32, 1);
  const bound: Peer = { ...peer, channelBinding: () => value };
  const both = ["SCRAM-SCRYPT-PLUS", "SCRAM-SCRYPT"];

  async function people(): Promise<LoginDomain> {
    const [known] = nodes;
    if (known !== undefined) return known;
    const domain = await node();
    await addPerson(domain);
    return domain;
  }

  async function attempt(
    offered: readonly string[],
    canBind: boolean,
    sent: Uint8Array | undefined,
    to = bound,
  ) {
    const domain = await people();
    const started = await domain.flows.start(startRequest(), bound);
    expect(formOf(started.step).mechanisms).toEqual(both);
    const proof = proving("ada", offered, canBind);
    const challenge = await send(domain, started, proof.input, bound);
    if (challenge.type !== "form") return challenge;
    const { client_final } = await proof.final(challenge, ada.password, sent);
    return await send(domain, started, { client_final }, to);
  }

  it("is bound to: the same value logs in, another one does not", async () => {
    expect(await attempt(both, true, value)).toMatchObject({ type: "create_entry" });
    expect(await attempt(both, true, Buffer.alloc(32, 2))).toMatchObject({
      errors: { base: "invalid_auth" },
    });
    expect(await attempt(both, true, Buffer.alloc(0))).toMatchObject({ errors: { base: "invalid_auth" } });
    // The last message comes over a connection that has no value.
    expect(await attempt(both, true, Buffer.alloc(0), peer)).toMatchObject({
      errors: { base: "invalid_auth" },
    });
  });

  it("is not bound to by a client that cannot", async () => {
    expect(await attempt(["SCRAM-SCRYPT"], false, undefined)).toMatchObject({ type: "create_entry" });
  });

  it("ends the login of a client that could, and did not see the offer", async () => {
    expect(await attempt(["SCRAM-SCRYPT"], true, undefined)).toMatchObject({
      type: "abort",
      reason: "downgrade_detected",
    });
  });
});

it("leaves neither the password nor a key in the store", async () => {
  const domain = await node();
  await addPerson(domain);
  const { proof, answer } = await startProof(domain, "ada");
  const record = await domain.store.get([recordKeys.flow(answer.step.flow_id)]);
  const { client_final } = await proof.final(answer.step, ada.password);
  const written = JSON.stringify(record);
  expect(written).toContain("n=ada,");
  expect(written).not.toContain(ada.password);
  expect(written).not.toContain("stored_key");
  const step = await send(domain, answer, { client_final: `${client_final.slice(0, -4)}AAA=` });
  const after = JSON.stringify(await domain.store.get([recordKeys.flow(answer.step.flow_id)]));
  expect(step).toMatchObject({ errors: { base: "invalid_auth" } });
  expect(after).not.toContain(client_final.split(",p=")[1]?.slice(0, -4));
});

/** The kinds of every record that is read from now on. */
function readsOf({ store }: LoginDomain): string[] {
  const reads: string[] = [];
  const get = store.get.bind(store);
  store.get = async (keys) => {
    reads.push(keys.map((key) => key.replace(/:.*/, "")).join(" "));
    return await get(keys);
  };
  return reads;
}
