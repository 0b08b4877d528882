import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { User } from "../../../src/auth/model.ts";
import { localLoginKey, readLocalLogin } from "../../../src/auth/providers/homeassistant/login-record.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import type { Step } from "../../../src/auth/store.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { refusal } from "../../support/refusal.ts";

let store: InterposedStore;
let close: () => Promise<void>;
let node: TestAuthority;
let owner: User;
let linked: readonly string[];

beforeEach(async () => {
  const clock = handClock();
  ({ store, close } = await interposedEmbeddedStore(clock));
  const providers: NonNullable<Parameters<typeof startAuthority>[0]>["providers"] = (tools) => [
    createHomeAssistantProvider(tools),
    guestProvider(),
  ];
  node = await startAuthority({ store, clock, providers });
  owner = await node.owner();
  const { authority } = node;
  const { sessionId } = (await node.open(owner.id)).principal;
  const started = await authority.logins.start(
    {
      handler: ["guest", null],
      purpose: "link",
      linking: { userId: owner.id, sessionId },
      clientId: null,
      clientName: null,
      redirectUri: null,
      codeChallenge: null,
    },
    home,
  );
  const { step, flowSecret } = started;
  await authority.logins.advance({ flowId: step.flow_id, flowSecret, input: { name: "o." } }, home);
  linked = (await authority.credentials.list(owner.id)).map(({ subject }) => subject);
});
afterEach(async () => {
  await node.stop();
  await close();
});

async function remove(subject: string): Promise<void> {
  const owned = await node.authority.credentials.list(owner.id);
  const { id = "" } = owned.find((each) => each.subject === subject) ?? {};
  await node.authority.credentialRemovals.remove(owner.id, id, { keepLast: true });
}
const loginKey = localLoginKey(null, ownerLogin.username);
const closesLogin = ({ put = [] }: Step) => put.some(({ key }) => key === loginKey);
const removesLogin = ({ remove: removed = [] }: Step) => removed.includes(loginKey);
const left = async () => (await node.authority.credentials.list(owner.id)).map(({ subject }) => subject);

describe("the last way in", () => {
  it("stays, if the other one is removed before a local login is closed", async () => {
    expect(linked.toSorted()).toEqual(["o.", "olivia"]);
    store.beforeCommit(closesLogin, () => remove("o."));
    expect(await refusal(remove("olivia"))).toBe("last_credential");
    expect(await left()).toEqual(["olivia"]);
    expect((await readLocalLogin(store, null, "olivia"))?.login.closed).toBe(false);
  });
  it("stays, if the other one is removed after a local login was closed", async () => {
    const other: string[] = [];
    store.beforeCommit(removesLogin, async () => void other.push(await refusal(remove("o."))));
    await remove("olivia");
    expect(other).toEqual(["last_credential"]);
    expect(await left()).toEqual(["o."]);
  });
  it("stays, if the removal of a local login was cut short, and makes nobody the owner who has no other", async () => {
    const cut = new Error("the node was killed");
    store.beforeCommit(removesLogin, () => Promise.reject(cut));
    await expect(remove("olivia")).rejects.toBe(cut);
    expect(await refusal(remove("o."))).toBe("last_credential");
    const { user } = await node.user("ada");
    store.beforeCommit(
      ({ remove: removed = [] }) => removed.includes(localLoginKey(null, "ada")),
      () => Promise.reject(cut),
    );
    await expect(node.authority.credentialRemovals.removeLocal("ada")).rejects.toBe(cut);
    expect(await refusal(node.authority.ownership.transfer(user.id, null))).toBe("not_allowed");
    await remove("olivia");
    expect(await left()).toEqual(["o."]);
  });

  it("can be replaced, if the removal of the only login was cut short", async () => {
    const cut = new Error("the node was killed");
    store.beforeCommit(removesLogin, () => Promise.reject(cut));
    await expect(remove("olivia")).rejects.toBe(cut);
    const others = await startAuthority({ store: node.store, clock: node.clock, secret: node.secret });
    try {
      const { authority } = others;
      const owner = await others.owner();
      const [closed] = (await authority.credentials.list(owner.id)).filter(
        ({ subject }) => subject === "olivia",
      );
      // The other login's provider is not configured here.
      await authority.credentialRemovals.remove(owner.id, closed?.id ?? "", { keepLast: false });
      await authority.localLogins.create(owner.id, "olivia", "another long password");
      expect(await authority.localLogins.userIdOf("olivia")).toBe(owner.id);
    } finally {
      await others.stop();
    }
  });
});
