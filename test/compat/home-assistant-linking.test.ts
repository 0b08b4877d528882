import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { client_id, notes, notesProvider, paula, Requests } from "./home-assistant-requests.ts";

/* The cases of Home Assistant's tests of `/auth/link_user`, and attacks on it. */

describe.each(transportNames)("/auth/link_user on %s", (transport) => {
  let node: Awaited<ReturnType<typeof startNode>>;
  let http: Requests;
  let ownerId: string;
  beforeAll(async () => {
    node = await startNode({ transport }, { providers: (configured) => [...configured, notesProvider] });
    http = new Requests(node.url);
    ownerId = (await setUpOwner(node.authority)).id;
  });
  afterAll(() => node.stop());

  const person = async (username: string) => {
    const login = { username, password: ownerPassword };
    const user = await node.authority.localLogins.createUser({ name: username, ...login, groupIds: [] });
    return { user, login };
  };
  const subjects = async () => (await node.authority.credentials.list(ownerId)).map(({ subject }) => subject);
  const unlink = async (subject: string) => {
    const found = (await node.authority.credentials.list(ownerId)).find((each) => each.subject === subject);
    if (found !== undefined)
      await node.authority.credentialRemovals.remove(ownerId, found.id, { keepLast: true });
  };
  it("gives the user another login, and is no error if the user has it", async () => {
    const { access_token } = await http.session();
    const code = await http.linkCode("paula@notes");
    const linked = { status: 200, body: { message: "User linked" } };
    expect(await http.link({ client_id, code }, access_token)).toEqual(linked);
    expect(await subjects()).toEqual(["paula", "paula@notes"]);
    const again = await http.linkCode("paula@notes");
    expect(await http.link({ client_id, code: again }, access_token)).toEqual(linked);
    for (const used of [code, again])
      expect((await http.link({ client_id, code: used }, access_token)).status).toBe(400);
    const login = await http.code({ username: "paula@notes", password: "good" }, { handler: notes });
    expect((await http.token({ grant_type: "authorization_code", client_id, code: login })).status).toBe(200);
    const other = await http.link({ client_id, code: await http.linkCode("p2") }, access_token);
    expect(other).toMatchObject({ status: 409, body: { code: "credential_exists" } });
    await unlink("paula@notes");
  });
  it("refuses a login that is somebody else's, and uses the code up", async () => {
    const user = await node.authority.users.create({ name: "Olga", groupIds: [] });
    await node.authority.localLogins.create(user.id, "olga", ownerPassword);
    const { access_token } = await http.session();
    const code = await http.code({ username: "olga", password: ownerPassword }, { type: "link_user" });
    const refused = { status: 400, body: { message: "Credential already linked" } };
    expect(await http.link({ client_id, code }, access_token)).toMatchObject(refused);
    expect(await http.link({ client_id, code }, access_token)).toMatchObject({
      status: 400,
      body: { message: "Invalid code" },
    });
  });
  it.each([
    ["another client", { client_id: "https://other.example/" }],
    ["a client that is no URL", { client_id: "invalid" }],
    ["an unknown code", { code: "invalid" }],
  ])("refuses %s, and does not use the code up", async (_what, more) => {
    const { access_token } = await http.session();
    const code = await http.linkCode("paula@notes");
    const refused = await http.link({ client_id, code, ...more }, access_token);
    expect(refused).toMatchObject({ status: 400, body: { message: "Invalid code" } });
    expect(await subjects()).toEqual(["paula"]);
    expect((await http.link({ client_id, code }, access_token)).status).toBe(200);
    await unlink("paula@notes");
  });
  it("refuses a session of another client than the flow's", async () => {
    const { access_token } = await http.session();
    const other = { client_id: "https://other.example/", redirect_uri: "https://other.example/in" };
    const { flow_id } = (await http.start({ handler: notes, type: "link_user", ...other })).body;
    const { result: code } = (
      await http.step(flow_id, { ...other, redirect_uri: undefined, username: "x", password: "good" })
    ).body;
    const refused = await http.link({ client_id: other.client_id, code }, access_token);
    expect(refused).toMatchObject({ status: 400, body: { message: "Invalid code" } });
  });
  it("refuses who is not logged in, and whose login is no recent one", async () => {
    const code = await http.linkCode("paula@notes");
    expect((await http.link({ client_id, code })).status).toBe(401);
    expect((await http.link({ client_id, code }, "invalid")).status).toBe(401);
    const longLived = await node.authority.sessions.openLongLived({
      userId: ownerId,
      clientName: "link",
      clientIcon: null,
      days: 1,
    });
    expect(await http.link({ client_id, code }, longLived.accessToken)).toMatchObject({
      status: 401,
      body: { code: "recent_login_required" },
    });
    expect(await subjects()).toEqual(["paula"]);
  });
  it.each([
    [{}],
    [{ client_id }],
    [{ code: "x" }],
    [{ client_id, code: "x", extra: 1 }],
    [{ client_id: 1, code: 2 }],
  ])("answers %j with 400, never with a fault", async (body) => {
    const { access_token } = await http.session();
    expect(await http.link(body, access_token)).toMatchObject({
      status: 400,
      body: { code: "invalid_format" },
    });
  });
  it("has codes of its own: neither is good where the other one is", async () => {
    const { access_token } = await http.session();
    const login = await http.code(paula);
    expect((await http.link({ client_id, code: login }, access_token)).status).toBe(400);
    expect((await http.token({ grant_type: "authorization_code", client_id, code: login })).status).toBe(200);
    const link = await http.linkCode("paula@notes");
    expect((await http.token({ grant_type: "authorization_code", client_id, code: link })).status).toBe(400);
  });
  it("of one code many times at once links once", async () => {
    const { access_token } = await http.session();
    const code = await http.linkCode("paula@notes");
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => http.link({ client_id, code }, access_token)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 400]));
    expect(await subjects()).toEqual(["paula", "paula@notes"]);
    await unlink("paula@notes");
  });
  it("refuses a token that has no scope for it, and does not use the code up", async () => {
    const code = await http.linkCode("paula@notes");
    const { access_token } = await http.session(paula, { scope: "openid profile" });
    expect(await http.link({ client_id, code }, access_token)).toMatchObject({
      status: 403,
      body: { code: "insufficient_scope" },
    });
    expect(await subjects()).toEqual(["paula"]);
    expect((await http.link({ client_id, code }, (await http.session()).access_token)).status).toBe(200);
    await unlink("paula@notes");
  });
  it("refuses a session that has ended, and a user who was deactivated", async () => {
    const code = await http.linkCode("paula@notes");
    const ended = await http.session();
    await http.send("POST", "/auth/revoke", new URLSearchParams({ token: ended.refresh_token }));
    expect((await http.link({ client_id, code }, ended.access_token)).status).toBe(401);
    const { user, login } = await person("gone");
    const { access_token } = await http.session(login);
    await node.authority.users.update(user.id, { state: "deactivated" });
    expect((await http.link({ client_id, code }, access_token)).status).toBe(401);
    expect(await node.authority.credentials.find("notes", null, "paula@notes")).toBeUndefined();
  });
  it("gives a login to one of two people who ask at once, by one code or by two", async () => {
    const people = [await person("ines"), await person("jon")];
    const sessions = await Promise.all(people.map(({ login }) => http.session(login)));
    for (const subject of ["one code", "two codes"]) {
      const first = await http.linkCode(subject);
      const codes = [first, subject === "one code" ? first : await http.linkCode(subject)];
      const answers = await Promise.all(
        sessions.map(({ access_token }, at) => http.link({ client_id, code: codes[at] }, access_token)),
      );
      const given = answers.flatMap(({ status }, at) => (status === 200 ? [at] : []));
      expect(given, subject).toHaveLength(1);
      const found = await node.authority.credentials.find("notes", null, subject);
      const winner = people[given[0] ?? 0]?.user.id ?? "";
      expect(found?.credential.userId).toBe(winner);
      await node.authority.credentialRemovals.remove(winner, found?.credential.id ?? "", { keepLast: true });
    }
  });
});

it("a code is good once on several nodes", async () => {
  const redis = await startRedis();
  const start = () =>
    startNode({ store: redis.url }, { providers: (configured) => [...configured, notesProvider] });
  const [one, other] = [await start(), await start()];
  try {
    await setUpOwner(one.authority);
    const nodes = [new Requests(one.url), new Requests(other.url)] as const;
    const { access_token } = await nodes[0].session();
    const code = await nodes[0].linkCode("paula@notes");
    const asked = Array.from({ length: 20 }, (_, at) => nodes[at % 2 === 0 ? 0 : 1]);
    const answers = await Promise.all(asked.map((http) => http.link({ client_id, code }, access_token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(400)]);
  } finally {
    await other.stop();
    await one.stop();
    await redis.dispose();
  }
});
