import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { indexKeys, providerKey, recordKeys } from "../../../../src/auth/record-keys.ts";
import { home, ownerLogin } from "../../../support/authority.ts";
import { refusal } from "../../../support/refusal.ts";
import type { HandNode } from "../lease-rig.ts";
import { logIn, open, someone, startWithOwner } from "./rollback-people.ts";
import { embeddedRig, goBack, type RollbackRig, raisesAgain, redisRig } from "./rollback-rig.ts";

const { password } = ownerLogin;
const next = "another long password";
const localProvider = providerKey("homeassistant", null);

let rig: RollbackRig;
afterEach(() => rig.dispose());

const isLive = async ({ authority }: HandNode, { session }: { readonly session: { readonly id: string } }) =>
  (await authority.sessions.get(session.id)) !== undefined;

async function credentialOf({ authority }: HandNode, userId: string) {
  const [credential] = await authority.credentials.list(userId);
  if (credential === undefined) throw new Error("no credential");
  return credential;
}

async function principalOf({ authority }: HandNode, accessToken: string) {
  const verdict = await authority.authentication.authenticate(accessToken, home);
  if (!verdict.ok) throw new Error("refused");
  return verdict.principal;
}

describe.each([
  ["Redis", redisRig],
  ["the embedded store", embeddedRig],
])("after %s went back in time", (_, makeRig) => {
  beforeEach(async () => {
    rig = await makeRig();
  });

  it("nobody logs in with a changed password until it is set again; other users do", async () => {
    const node = await startWithOwner(rig);
    const { localLogins } = node.authority;
    const ada = await someone(node, "ada");
    await someone(node, "bob");
    await rig.remember();
    await localLogins.setPassword(ada, next);
    await goBack(rig, node);
    expect(node.reported).toContain(`repaired ${ada} password_changed`);
    expect([await logIn(node, "ada"), await logIn(node, "ada", next)]).toEqual(["form", "form"]);
    expect(await logIn(node, "bob")).toBe("create_entry");
    await localLogins.setPassword(ada, next);
    expect([await logIn(node, "ada"), await logIn(node, "ada", next)]).toEqual(["form", "create_entry"]);
    // The change keeps its version: a password that is set now stays, also after another repair, and under another
    // name.
    await localLogins.changeUsername(ada, "ada2");
    await rig.remember();
    await someone(node, "cleo");
    await goBack(rig, node);
    expect(await logIn(node, "ada2", next)).toBe("create_entry");
  });

  it("without the rollback repair the old password and a removed login work", async () => {
    const node = await startWithOwner(rig, "rollback_repair");
    const ada = await someone(node, "ada");
    await someone(node, "bob");
    await rig.remember();
    await node.authority.localLogins.setPassword(ada, next);
    await node.authority.localLogins.remove("bob");
    await goBack(rig, node);
    expect([await logIn(node, "ada"), await logIn(node, "bob")]).toEqual(["create_entry", "create_entry"]);
  });

  it("a session that the old password opened in between ends; the session that changed it does not", async () => {
    const node = await startWithOwner(rig);
    const { localLogins } = node.authority;
    const ada = await someone(node, "ada");
    const credential = await credentialOf(node, ada);
    const own = await open(node, ada, credential);
    const principal = await principalOf(node, own.accessToken);
    await rig.remember();
    await localLogins.changeOwnPassword(principal, password, next, home);
    const between: Awaited<ReturnType<typeof open>>[] = [];
    node.store.beforeCommit(raisesAgain, async () => {
      between.push(await open(node, ada, credential));
      // Neither of these is a new password.
      await localLogins.changeUsername(ada, "ada2");
    });
    await goBack(rig, node);
    expect(between).toHaveLength(1);
    for (const one of between) expect(await isLive(node, one)).toBe(false);
    expect(await isLive(node, own)).toBe(true);
    expect(await logIn(node, "ada2")).toBe("form");
  });

  it("a password that was set in between stays valid", async () => {
    const node = await startWithOwner(rig);
    const { localLogins } = node.authority;
    const ada = await someone(node, "ada");
    await rig.remember();
    await localLogins.setPassword(ada, next);
    node.store.beforeCommit(raisesAgain, () => localLogins.setPassword(ada, "a third long password"));
    await goBack(rig, node);
    expect(await logIn(node, "ada", "a third long password")).toBe("create_entry");
  });

  it("a removed login is removed again, with the sessions that it opened since; the name is free", async () => {
    const node = await startWithOwner(rig);
    const ada = await someone(node, "ada");
    const credential = await credentialOf(node, ada);
    await rig.remember();
    await node.authority.localLogins.remove("ada");
    const between: Awaited<ReturnType<typeof open>>[] = [];
    // As late as possible: the sessions that end with it were listed before.
    node.store.beforeCommit(
      ({ remove }) => remove?.includes(recordKeys.credential(credential.id)) ?? false,
      async () => between.push(await open(node, ada, credential)),
    );
    await goBack(rig, node);
    expect(between).toHaveLength(1);
    for (const one of between) expect(await isLive(node, one)).toBe(false);
    expect(await logIn(node, "ada")).toBe("form");
    expect(await node.authority.credentials.list(ada)).toEqual([]);
    expect(await refusal(node.authority.localLogins.create(ada, "ada", next))).toBe("accepted");
    expect(await logIn(node, "ada", next)).toBe("create_entry");
  });

  it("damaged records do not stop the repair of others", async () => {
    const node = await startWithOwner(rig);
    const { localLogins } = node.authority;
    const ids: string[] = [];
    for (const name of ["ada", "bob", "cleo", "dora"]) ids.push(await someone(node, name));
    const [ada = "", bob = "", cleo = "", dora = ""] = ids;
    const own = await open(node, dora);
    const principal = await principalOf(node, own.accessToken);
    const [credential = ""] = await node.store.list(indexKeys.credentialsOf(bob), { limit: 1 });
    const login = recordKeys.password(localProvider, "ada");
    const keys = [login, recordKeys.credential(credential), recordKeys.session(own.session.id)];
    const whole = await node.store.get(keys);
    const put = keys.map((key) => ({ key, value: { damaged: true } }));
    await node.store.commit({ put });
    await rig.remember();
    const again = put.map(({ key }, place) => ({ key, value: whole[place]?.value ?? {} }));
    await node.store.commit({ put: again });
    await localLogins.setPassword(ada, next);
    await localLogins.remove("bob");
    await localLogins.setPassword(cleo, next);
    await localLogins.changeOwnPassword(principal, password, next, home);
    await goBack(rig, node);
    expect([await logIn(node, "cleo"), await logIn(node, "dora")]).toEqual(["form", "form"]);
    const [first, second] = await node.store.get(keys);
    expect([first?.value, second?.value]).toEqual([{ damaged: true }, { damaged: true }]);
  });
});

describe("after Redis went back in time under several nodes", () => {
  beforeEach(async () => {
    rig = await redisRig();
  });

  it("all may repair a login at the same time", async () => {
    const first = await startWithOwner(rig);
    const all = [first, await rig.start(), await rig.start()];
    const ada = await someone(first, "ada");
    await someone(first, "bob");
    await rig.remember();
    await first.authority.localLogins.setPassword(ada, next);
    await first.authority.localLogins.remove("bob");
    for (const node of all) await node.beatUntilTrusted();
    await goBack(rig, ...all);
    const late = await rig.start();
    expect([await logIn(late, "ada"), await logIn(late, "bob")]).toEqual(["form", "form"]);
  });
});
