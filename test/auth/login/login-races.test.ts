import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { StartLogin } from "../../../src/auth/login/login-flows.ts";
import type { LoginProvider } from "../../../src/auth/providers/provider.ts";
import type { Step } from "../../../src/auth/store.ts";
import { type OpenStore, openStore } from "../tokens/installation.ts";
import {
  ada,
  addPerson,
  claimOf,
  codeOf,
  forCode,
  type LoginDomain,
  loginDomain,
  peer,
  startRequest,
} from "./login-domain.ts";

let opened: OpenStore;
let domain: LoginDomain;

type Moment = "the provider said yes" | "the user was read";
let plan: { readonly moment: Moment; readonly work: () => Promise<unknown> } | undefined;

/** Replaces the provider's, if given. */
let evidence: NonNullable<Step["check"]> | undefined;

/** Runs the action that is planned for this moment, once. */
async function reach(moment: Moment): Promise<void> {
  if (plan?.moment !== moment) return;
  const { work } = plan;
  plan = undefined;
  await work();
}

function interrupted(provider: LoginProvider): LoginProvider {
  return {
    ...provider,
    async advance(...args) {
      const step = await provider.advance(...args);
      await reach("the provider said yes");
      return step.kind === "done" ? { ...step, evidence: evidence ?? step.evidence } : step;
    },
  };
}

beforeEach(async () => {
  opened = await openStore();
  plan = undefined;
  evidence = undefined;
  const beforeCommit = () => reach("the user was read");
  domain = await loginDomain(opened, { wrapProvider: interrupted, beforeCommit });
});

afterEach(async () => {
  await domain.close();
  await opened.dispose();
});

const another = "another-canary-password";
const changes: Readonly<Record<string, (userId: string) => Promise<unknown>>> = {
  "password was set": (userId) => domain.logins.setPassword(userId, another),
  "login was removed": () => domain.logins.remove("ada"),
  "login was renamed": (userId) => domain.logins.changeUsername(userId, "lovelace"),
  "user was deactivated": (userId) => domain.users.update(userId, { isActive: false }),
  "user became local-only": (userId) => domain.users.update(userId, { localOnly: true }),
  "user was removed": (userId) => domain.users.remove(userId),
};
const revokeAll = (userId: string) => domain.revocation.revoke({ kind: "user", userId }, "session_revoked");

async function loginWith(request: Partial<StartLogin>, moment: Moment, work: () => Promise<unknown>) {
  const started = await domain.flows.start(startRequest(request), peer);
  plan = { moment, work };
  const { step } = await domain.flows.advance({ ...claimOf(started), input: ada }, peer);
  expect(plan).toBeUndefined();
  return step;
}

describe.each<Moment>(["the provider said yes", "the user was read"])("after %s", (moment) => {
  for (const purpose of ["session", "code"] as const) {
    it.each(Object.keys(changes))(`no ${purpose} is given when the %s`, async (name) => {
      const user = await addPerson(domain);
      const request = purpose === "code" ? forCode : {};
      const step = await loginWith(request, moment, async () => changes[name]?.(user.id));
      expect(step).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
      expect(await domain.sessions.list(user.id)).toEqual([]);
    });
  }

  it("a cancelled flow gives nothing", async () => {
    const user = await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    plan = { moment, work: () => domain.flows.cancel(claimOf(started)) };
    const login = domain.flows.advance({ ...claimOf(started), input: ada }, peer);
    expect(await codeOf(login)).toBe("conflict");
    expect(await domain.sessions.list(user.id)).toEqual([]);
  });
});

describe("a revoke of all the user's sessions", () => {
  it.each(["session", "code"] as const)("ends a %s that is being made", async (purpose) => {
    const user = await addPerson(domain);
    const request = purpose === "code" ? forCode : {};
    const step = await loginWith(request, "the user was read", () => revokeAll(user.id));
    expect(step).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    expect(await domain.sessions.list(user.id)).toEqual([]);
  });
});

describe("a provider that keeps no records of its own", () => {
  it("opens no session if the credential was unlinked meanwhile", async () => {
    const user = await addPerson(domain);
    const [credential] = await domain.credentials.list(user.id);
    if (credential === undefined) throw new Error("no credential");
    evidence = [];
    const unlink = () => domain.store.commit(domain.credentials.unlinkStep(credential));
    const step = await loginWith({}, "the user was read", unlink);
    expect(step).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    expect(await domain.sessions.list(user.id)).toEqual([]);
  });
});
