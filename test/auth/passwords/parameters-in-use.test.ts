import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { startKdfThread } from "../../../src/auth/passwords/kdf-thread.ts";
import { parametersIn } from "../../../src/auth/passwords/parameters-in-use.ts";
import type { ScryptParameters } from "../../../src/auth/passwords/passwords.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { readRecord } from "../../../src/auth/store.ts";
import { ada, addPerson, type LoginDomain, loginDomain, quick, tryLogin } from "../login/login-domain.ts";
import { type OpenStore, openStore } from "../tokens/installation.ts";

const stronger = { N: 64, r: 8, p: 1 };
const weaker = { N: 8, r: 8, p: 1 };

let opened: OpenStore;
const nodes: LoginDomain[] = [];
const work: ScryptParameters[][] = [];

async function nodeWith(parameters: ScryptParameters): Promise<LoginDomain> {
  const made = await loginDomain(opened, { passwords: { parameters, startThread: recordingThread } });
  nodes.push(made);
  return made;
}

/** Records the scrypt parameters of each job. */
function recordingThread(): Worker {
  const thread = startKdfThread();
  const post = thread.postMessage.bind(thread);
  thread.postMessage = (job: { runs: readonly ScryptParameters[] }, moved?: never) => {
    work.push(job.runs.map(({ N, r, p }) => ({ N, r, p })));
    post(job, moved);
  };
  return thread;
}

beforeEach(async () => {
  opened = await openStore();
  work.length = 0;
});
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
  await opened.dispose();
});

/** The work of the threads for a wrong password of each name. */
async function workFor(node: LoginDomain, names: readonly string[]): Promise<readonly unknown[]> {
  work.length = 0;
  for (const username of names) await tryLogin(node.flows, { username, password: "wrong-horse" });
  return work;
}
const listed = async () => parametersIn(await readRecord(opened.store, recordKeys.scryptParameters));

describe("after scrypt's parameters were changed", () => {
  for (const [direction, today] of [
    ["raised", stronger],
    ["lowered", weaker],
  ] as const) {
    it(`${direction}: old names, new names and unknown ones cost the same work`, async () => {
      await addPerson(await nodeWith(quick));
      const node = await nodeWith(today);
      expect(await workFor(node, ["ada", "nobody"])).toEqual([[quick], [quick]]);
      await addPerson(node, { ...ada, username: "new" });
      const both = [quick, today];
      expect(await workFor(node, ["ada", "new", "nobody"])).toEqual([both, both, both]);
      expect(await tryLogin(node.flows, ada)).toMatchObject({ type: "create_entry" });
      expect(await workFor(node, ["ada", "new", "nobody"])).toEqual([both, both, both]);
    });
  }

  it("removes parameters that no verifier has any more, and only those", async () => {
    await addPerson(await nodeWith(quick));
    const node = await nodeWith(stronger);
    await addPerson(node, { ...ada, username: "new" });
    await node.logins.retireParameters();
    expect(await listed()).toEqual([quick, stronger]);
    await tryLogin(node.flows, ada);
    await node.logins.retireParameters();
    expect(await listed()).toEqual([stronger]);
    expect(await workFor(node, ["ada", "new", "nobody"])).toEqual([[stronger], [stronger], [stronger]]);
  });

  it("lists a verifier's parameters from its first check on, if they were not listed", async () => {
    const node = await nodeWith(quick);
    await addPerson(node);
    await addPerson(await nodeWith(stronger), { ...ada, username: "new" });
    const key = recordKeys.scryptParameters;
    await opened.store.commit({ put: [{ key, value: { sets: [[64, 8, 1]] } }] });
    await tryLogin(node.flows, ada);
    expect(await listed()).toEqual([stronger, quick]);
  });

  it("lists the parameters with every way to set a password", async () => {
    const user = await addPerson(await nodeWith(quick));
    const node = await nodeWith(stronger);
    await node.logins.setPassword(user.id, "another-horse-battery");
    expect(await listed()).toEqual([quick, stronger]);
    expect(await tryLogin(node.flows, { ...ada, password: "another-horse-battery" })).toMatchObject({
      type: "create_entry",
    });
  });

  it("ignores a damaged list, and logins work", async () => {
    const node = await nodeWith(quick);
    await addPerson(node);
    for (const sets of ["x", [[1]], [null, [1e9, 8, 1], ["a", "b", "c"]]]) {
      await opened.store.commit({ put: [{ key: recordKeys.scryptParameters, value: { sets } }] });
      expect(await listed()).toEqual([]);
      expect(await tryLogin(node.flows, ada)).toMatchObject({ type: "create_entry" });
    }
  });
});
