import { EventEmitter, once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { FlowStep } from "../../../protocol/flow.ts";
import { AuthError } from "../../../src/auth/errors.ts";
import type { FlowAnswer } from "../../../src/auth/login/login-flows.ts";
import type { LoginProvider } from "../../../src/auth/providers/provider.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { openEmbeddedStore } from "../../../src/store/embedded/embedded-store.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { within } from "../../support/within.ts";
import { HandClock, type OpenStore, openStore } from "../tokens/installation.ts";
import {
  ada,
  addPerson,
  claimOf,
  codeOf,
  type DomainOptions,
  grantOf,
  holder,
  type LoginDomain,
  loginDomain,
  peer,
  startRequest,
  tryLogin,
} from "./login-domain.ts";

let opened: OpenStore;
let domain: LoginDomain;
const nodes: LoginDomain[] = [];

async function node(options: DomainOptions = {}): Promise<LoginDomain> {
  const made = await loginDomain(opened, options);
  nodes.push(made);
  return made;
}

beforeEach(async () => {
  opened = await openStore();
  domain = await node();
});

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((each) => each.close()));
  await opened.dispose();
});

const wrong = { username: "ada", password: "wrong-horse" };

describe("a flow on another node", () => {
  it("continues at its current step, with the attempts that are left", async () => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const claim = claimOf(started);
    const before = await domain.flows.advance({ ...claim, input: wrong }, peer);
    const other = await node();
    const resumed = await other.flows.resume(claim, { address: "198.51.100.9" });
    expect(resumed).toMatchObject({ step: before.step, flowSecret: before.flowSecret });
    for (let attempt = 2; attempt <= 4; attempt += 1)
      await other.flows.advance({ ...claim, input: wrong }, peer);
    expect((await domain.flows.advance({ ...claim, input: wrong }, peer)).step).toMatchObject({
      reason: "too_many_retry",
    });
  });

  it("finishes there", async () => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const other = await node();
    const { step } = await other.flows.advance({ ...claimOf(started), input: ada }, peer);
    expect(await domain.sessions.get(grantOf(step).session_id)).toBeDefined();
  });

  it("opens one session if the same step reaches both", async () => {
    const user = await addPerson(domain);
    const other = await node();
    for (let round = 1; round <= 5; round += 1) {
      const started = await domain.flows.start(startRequest(), peer);
      const request = { ...claimOf(started), input: ada };
      const send = ({ flows }: LoginDomain) => codeOf(flows.advance(request, peer));
      const outcomes = await Promise.all([domain, other, domain, other].map(send));
      expect(outcomes.filter((outcome) => outcome === "no error")).toHaveLength(1);
      expect(await domain.sessions.list(user.id)).toHaveLength(round);
    }
  });

  it("is taken over from a node that died in a step, with that attempt charged", async () => {
    await addPerson(domain);
    const begun = new EventEmitter();
    const never: LoginProvider["advance"] = () => {
      begun.emit("begun");
      return new Promise(() => undefined);
    };
    const dying = await node({ wrapProvider: (provider) => ({ ...provider, advance: never }) });
    const started = await dying.flows.start(startRequest(), peer);
    const claim = claimOf(started);
    const dead = once(begun, "begun");
    void dying.flows.advance({ ...claim, input: ada }, peer);
    await within(dead, "the step that never ends");
    expect(await codeOf(domain.flows.advance({ ...claim, input: wrong }, peer))).toBe("conflict");
    expect((await domain.flows.resume(claim, peer)).step.type).toBe("form");
    opened.clock.pass(10_000);
    for (let attempt = 2; attempt <= 4; attempt += 1)
      await domain.flows.advance({ ...claim, input: wrong }, peer);
    const { step } = await domain.flows.advance({ ...claim, input: wrong }, peer);
    expect(step).toMatchObject({ type: "abort", reason: "too_many_retry" });
  });
});

describe("the deadline", () => {
  it("ends a flow five minutes after its start, whatever happened in it", async () => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const claim = claimOf(started);
    opened.clock.pass(299_000);
    await domain.flows.advance({ ...claim, input: wrong }, peer);
    await domain.flows.resume(claim, peer);
    opened.clock.pass(1_000);
    const { step } = await domain.flows.advance({ ...claim, input: ada }, peer);
    expect(step).toMatchObject({ type: "abort", reason: "login_expired" });
    expect(await codeOf(domain.flows.advance({ ...claim, input: ada }, peer))).toBe("invalid_flow");
  });

  it("is reported to a client that resumes late", async () => {
    const started = await domain.flows.start(startRequest(), peer);
    opened.clock.pass(300_000);
    expect((await domain.flows.resume(claimOf(started), peer)).step).toMatchObject({
      reason: "login_expired",
    });
  });

  it("applies to a step that started before it", async () => {
    const user = await addPerson(domain);
    const slow = await node({
      wrapProvider: (provider) => ({
        ...provider,
        async advance(...args) {
          const step = await provider.advance(...args);
          opened.clock.pass(300_000);
          return step;
        },
      }),
    });
    const step = await tryLogin(slow.flows, ada);
    expect(step).toMatchObject({ type: "abort", reason: "login_expired" });
    expect(await domain.sessions.list(user.id)).toEqual([]);
  });
});

describe("open flows", () => {
  /** Evicted flows are removed from the store: a resume does not find them. */
  const standing = async (flows: LoginDomain["flows"], all: readonly FlowAnswer[]) => {
    const codes = await Promise.all(all.map((each) => codeOf(flows.resume(claimOf(each), peer, holder()))));
    return codes.map((code) => code === "no error");
  };
  /** Started on sockets that have closed when this returns. */
  const abandoned = async ({ flows }: LoginDomain, count: number, address: string | null) => {
    const all: FlowAnswer[] = [];
    for (let at = 0; at < count; at += 1) {
      const socket = holder();
      const started = await flows.start(startRequest(), { address }, socket);
      flows.detach(started.step.flow_id, socket);
      all.push(started);
    }
    return all;
  };

  it("with waiting sockets are never evicted, however many one address has, and prevent no start", async () => {
    const mine = await domain.flows.start(startRequest(), peer, holder());
    const small = await node({ limits: { detachedPerAddress: 2, detachedPerNode: 4 } });
    const neighbours = await Promise.all(
      Array.from({ length: 100 }, () => small.flows.start(startRequest(), peer, holder())),
    );
    await abandoned(small, 20, peer.address);
    expect(await standing(small.flows, [mine, ...neighbours])).toEqual(Array(101).fill(true));
  });

  it("that are detached are limited to the newest of an address, or of an IPv6 /64", async () => {
    const small = await node({ limits: { detachedPerAddress: 8 } });
    const all = await abandoned(small, 10, peer.address);
    const kept = [false, false, ...Array(8).fill(true)];
    expect(await standing(small.flows, all)).toEqual(kept);
    const wide = [];
    for (let host = 1; host <= 10; host += 1)
      wide.push(...(await abandoned(small, 1, `2001:db8:1:2::${host}`)));
    const elsewhere = await abandoned(small, 1, "2001:db8:1:3::1");
    expect(await standing(small.flows, [...wide, ...elsewhere])).toEqual([...kept, true]);
  });

  it("that are detached are limited for the node; one of the address with the most is evicted", async () => {
    const small = await node({ limits: { detachedPerAddress: 5, detachedPerNode: 8 } });
    const person = await abandoned(small, 1, "198.51.100.1");
    const flood = await abandoned(small, 5, "198.51.100.66");
    for (let host = 100; host < 106; host += 1) await abandoned(small, 1, `198.51.100.${host}`);
    expect(await standing(small.flows, person)).toEqual([true]);
    expect(await standing(small.flows, flood)).toEqual([false, false, false, false, true]);
  });

  it("free their place when they end: by login, abort, cancel, deadline", async () => {
    await addPerson(domain);
    const one = await node({ limits: { detachedPerAddress: 1, attempts: 1 } });
    const first = await abandoned(one, 1, peer.address);
    expect((await tryLogin(one.flows, wrong)).type).toBe("abort");
    expect(await standing(one.flows, first)).toEqual([false]);
    expect((await tryLogin(one.flows, ada)).type).toBe("create_entry");
    await one.flows.cancel(claimOf(await one.flows.start(startRequest(), peer)));
    const second = await abandoned(one, 1, peer.address);
    opened.clock.pass(150_000);
    expect(await standing(one.flows, second)).toEqual([true]);
  });

  it("belong to the socket that resumed them last, whatever earlier sockets do", async () => {
    const one = await node({ limits: { detachedPerAddress: 1 } });
    const [first, second] = [holder(), holder()];
    const started = await one.flows.start(startRequest(), peer, first);
    const { flow_id } = started.step;
    for (let round = 0; round < 3; round += 1) await one.flows.resume(claimOf(started), peer, second);
    one.flows.detach(flow_id, first);
    one.flows.detach("0".repeat(32), first);
    await abandoned(one, 3, peer.address);
    expect(await standing(one.flows, [started])).toEqual([true]);
  });

  it("that a socket resumed many times are detached once when it closes", async () => {
    const one = await node({ limits: { detachedPerAddress: 1 } });
    const socket = holder();
    const started = await one.flows.start(startRequest(), peer, socket);
    for (let round = 0; round < 3; round += 1) await one.flows.resume(claimOf(started), peer, socket);
    one.flows.detach(started.step.flow_id, socket);
    await abandoned(one, 1, peer.address);
    expect(await codeOf(one.flows.resume(claimOf(started), peer))).toBe("invalid_flow");
  });

  it("that another node has resumed are not ended by the node that began them", async () => {
    const one = await node({ limits: { detachedPerAddress: 1 } });
    const [first, second] = [holder(), holder()];
    const started = await one.flows.start(startRequest(), peer, first);
    await domain.flows.resume(claimOf(started), peer, second);
    one.flows.detach(started.step.flow_id, first);
    await abandoned(one, 3, peer.address);
    expect(await standing(domain.flows, [started])).toEqual([true]);
  });

  it("that were resumed here count here, wherever they started", async () => {
    const one = await node({ limits: { detachedPerAddress: 1 } });
    const started = await domain.flows.start(startRequest(), peer, holder());
    const socket = holder();
    await one.flows.resume(claimOf(started), peer, socket);
    one.flows.detach(started.step.flow_id, socket);
    await abandoned(one, 1, peer.address);
    expect(await codeOf(domain.flows.resume(claimOf(started), peer))).toBe("invalid_flow");
  });

  it("vanish from the store after their deadline", async () => {
    const started = await domain.flows.start(startRequest(), peer);
    const key = recordKeys.flow(started.step.flow_id);
    opened.clock.pass(3_600_000);
    await expect.poll(() => domain.store.get([key]), { timeout: 10_000 }).toEqual([undefined]);
  });
});

describe("a provider that fails", () => {
  async function failing(error: Error): Promise<{ readonly node: LoginDomain; heal(): void }> {
    let broken = true;
    const wrapProvider = (provider: LoginProvider): LoginProvider => ({
      ...provider,
      advance: (...args) => (broken ? Promise.reject(error) : provider.advance(...args)),
    });
    return { node: await node({ wrapProvider }), heal: () => (broken = false) };
  }

  it.each(["overloaded", "unavailable"] as const)("with %s costs no attempt", async (code) => {
    const { node: busy, heal } = await failing(new AuthError(code));
    await addPerson(busy);
    const started = await busy.flows.start(startRequest(), peer);
    const send = () => busy.flows.advance({ ...claimOf(started), input: ada }, peer);
    for (let round = 0; round < 20; round += 1) expect(await codeOf(send())).toBe(code);
    heal();
    expect((await send()).step.type).toBe("create_entry");
  });

  it("otherwise costs the attempt, and the flow ends when none is left", async () => {
    const { node: broken } = await failing(new AuthError("unknown_error"));
    const started = await broken.flows.start(startRequest(), peer);
    const send = () => broken.flows.advance({ ...claimOf(started), input: ada }, peer);
    for (let round = 0; round < 5; round += 1) expect(await codeOf(send())).toBe("unknown_error");
    expect((await send()).step).toMatchObject({ type: "abort", reason: "too_many_retry" });
  });
});

describe("a flood of logins", () => {
  it("hashes what the queue holds and refuses the rest without charging attempts", async () => {
    await addPerson(domain);
    const small = await node({
      passwords: { parameters: { N: 2 ** 14, r: 8, p: 1 }, queueLimit: 6, queueLimitPerKey: 2 },
      budgets: { account: { attempts: 40, refillMs: 1_000 } },
    });
    const peers = Array.from({ length: 40 }, (_, host) => ({ address: `198.51.100.${host}` }));
    const started = await Promise.all(peers.map((each) => small.flows.start(startRequest(), each)));
    const outcomes = await Promise.all(
      started.map((flow, place) =>
        codeOf(small.flows.advance({ ...claimOf(flow), input: wrong }, peers[place] ?? peer)),
      ),
    );
    const refused = outcomes.filter((outcome) => outcome === "overloaded").length;
    expect(refused).toBeGreaterThanOrEqual(1);
    expect(outcomes.filter((outcome) => outcome === "no error")).toHaveLength(40 - refused);
    expect(small.passwords.load().runs).toBe(40 - refused);
    const records = await small.store.get(started.map(({ step }) => recordKeys.flow(step.flow_id)));
    const attempts = records.map((record) => record?.value.attemptsLeft);
    expect(attempts.filter((left) => left === 5)).toHaveLength(refused);
    expect(attempts.filter((left) => left === 4)).toHaveLength(40 - refused);
  });
});

describe("secrets", () => {
  it("never reach the store's files", async () => {
    const folder = temporaryFolder();
    const clock = new HandClock();
    const store = await openEmbeddedStore({ folder: folder.path, role: "gateway", clock });
    const own = await loginDomain({ store, clock, dispose: async () => undefined });
    await addPerson(own);
    const started = await own.flows.start(startRequest(), peer);
    await own.flows.advance(
      { ...claimOf(started), input: { ...wrong, password: "canary-wrong-guess" } },
      peer,
    );
    const steps: FlowStep[] = [(await own.flows.resume(claimOf(started), peer)).step];
    steps.push((await own.flows.advance({ ...claimOf(started), input: ada }, peer)).step);
    const grant = grantOf(steps[1] ?? started.step);
    await own.close();
    await store.close();
    const files = readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter((file) =>
      file.isFile(),
    );
    const bytes = Buffer.concat(files.map((file) => readFileSync(path.join(file.parentPath, file.name))));
    folder.remove();
    expect(bytes.includes(started.step.flow_id)).toBe(true);
    const secrets = [
      ada.password,
      "canary-wrong-guess",
      started.flowSecret,
      grant.access_token,
      grant.refresh_token,
    ];
    for (const secret of secrets) {
      expect(bytes.includes(secret)).toBe(false);
      expect(bytes.includes(Buffer.from(secret).toString("base64"))).toBe(false);
      expect(bytes.includes(Buffer.from(secret, "utf16le"))).toBe(false);
    }
  });
});
