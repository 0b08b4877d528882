// Checks that each peer accepts a valid token, and nothing else: `npm run verify` in this folder.
import { strict as assert } from "node:assert";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import type { Dialect } from "../load/dialects.ts";
import { dialects } from "./dialects.ts";

interface Post {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

type Ask = <Answer>(question: string, details?: object) => Promise<Answer>;

const deadlineMs = 1500;

async function withServer(
  name: string,
  check: (port: number, ask: Ask) => Promise<string>,
  args: readonly string[] = ["1024", "8", "1"],
): Promise<void> {
  const child = fork(fileURLToPath(new URL(`${name}.js`, import.meta.url)), [...args], { silent: true });
  child.stderr?.pipe(process.stderr);
  try {
    const [{ port, version }] = await once(child, "message");
    const ask: Ask = async (question, details) => {
      child.send({ id: 1, ask: question, ...details });
      const [{ answer, error }] = await once(child, "message");
      assert.equal(error, undefined);
      return answer;
    };
    console.log(`${name} ${version}: ${await check(port, ask)}`);
  } finally {
    // It ends with everything that it started.
    child.kill("SIGTERM");
  }
}

/** The last message of the server if the exchange did not complete. */
function outcome(
  port: number,
  dialect: Dialect,
  token: string,
): Promise<{ authenticated: boolean; last: string }> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${dialect.path}`, dialect.subprotocol ?? []);
    let step = 0;
    let last = "nothing";
    const end = (authenticated: boolean) => {
      clearTimeout(timer);
      socket.terminate();
      resolve({ authenticated, last });
    };
    const send = () => {
      const { send: say, reply } = dialect.exchange[step] ?? {};
      const text = reply?.(token, last) ?? say?.(token);
      if (text !== undefined) socket.send(dialect.binary ? Buffer.from(text, "latin1") : text);
    };
    const timer = setTimeout(() => end(false), deadlineMs);
    socket.on("open", send);
    socket.on("error", () => {});
    socket.on("close", (code) => {
      last = `${last}, close ${code}`;
      end(false);
    });
    socket.on("message", (data) => {
      last = (data as Buffer).toString("latin1");
      if (!last.includes(dialect.exchange[step]?.until ?? "")) return;
      step += 1;
      if (step === dialect.exchange.length) end(true);
      else send();
    });
  });
}

/** The same claims with another signature. */
function forged(token: string): string {
  const [head, body, signature = ""] = token.split(".");
  return `${head}.${body}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
}

async function post(port: number, { path, headers, body }: Post): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers, body });
  return { status: response.status, text: await response.text() };
}

async function checkPassword(port: number, ask: Ask): Promise<string> {
  const login = await ask<Post>("login");
  const good = await post(port, login);
  assert.ok(good.status === 200 || good.status === 201, `${good.status} ${good.text}`);
  assert.ok(!good.text.includes('"password"'), good.text);
  const bad = await post(port, { ...login, body: login.body.replace("battery", "staple") });
  assert.equal(bad.status, 401, bad.text);
  return `password ${good.status}, wrong password ${bad.status}`;
}

/** Programs that do not run on Node: the valid credential, and one with a changed character. */
for (const [name, server, args] of [
  ["nats", "nats", []],
  ["nats-jwt", "nats", ["jwt"]],
  ["mosquitto", "mosquitto", []],
] as const) {
  await withServer(
    server,
    async (port, ask) => {
      const [credential = ""] = await ask<string[]>("mint", { n: 1, bytes: 730 });
      const dialect = dialects[name];
      if (dialect === undefined) throw new Error(`no dialect ${name}`);
      const good = await outcome(port, dialect, credential);
      assert.ok(good.authenticated, `${name}: ${good.last}`);
      const at = Math.floor(credential.length / 2);
      const other = credential[at] === "A" ? "B" : "A";
      const bad = await outcome(port, dialect, credential.slice(0, at) + other + credential.slice(at + 1));
      assert.ok(!bad.authenticated, `${name}: ${bad.last}`);
      return `dialect ${name}, credential of ${credential.length} bytes; changed: ${bad.last}`;
    },
    args,
  );
}
for (const server of [
  "socket-io",
  "socket-io-uws",
  "graphql-ws",
  "graphql-ws-uws",
  "socketcluster",
  "feathers",
])
  await verifyJwt(server, server.replace(/-uws$/, ""));
await verifyJwt("socketcluster", "socketcluster-authenticate");

async function verifyJwt(server: string, name: string): Promise<void> {
  const dialect = dialects[name];
  if (dialect === undefined) throw new Error(`no dialect ${name}`);
  await withServer(server, async (port, ask) => {
    const tokens = await ask<string[]>("mint", { n: 20, bytes: 730 });
    assert.equal(new Set(tokens).size, 20);
    for (const { length } of tokens) assert.ok(length > 727 && length <= 730, `${server}: ${length} bytes`);
    for (const token of tokens) {
      const { authenticated, last } = await outcome(port, dialect, token);
      assert.ok(authenticated, `${server}: ${last}`);
    }
    const [token = ""] = tokens;
    const refused = await Promise.all(
      [forged(token), "no token", ""].map((wrong) => outcome(port, dialect, wrong)),
    );
    for (const { authenticated, last } of refused) assert.ok(!authenticated, `${name}: ${last}`);
    return `dialect ${name}, token of ${token.length} bytes; forged: ${refused[0]?.last}`;
  });
}
await withServer("feathers", checkPassword);
await withServer("better-auth", checkPassword);
for (const [server, format] of [
  ["oidc-provider", "JWT"],
  ["oidc-provider", "opaque"],
  ["better-auth-oauth", "JWT"],
  ["better-auth-oauth", "opaque"],
] as const)
  await withServer(server, (port, ask) => checkOAuth(port, ask, { server, format }), [format]);

interface OAuthPeer {
  readonly server: string;
  readonly format: string;
}

async function checkOAuth(port: number, ask: Ask, { server, format }: OAuthPeer): Promise<string> {
  // More than a memory adapter of theirs would keep.
  const tokens = await ask<string[]>("mint", { n: 1_200 });
  const form = await ask<Post>("refresh");
  const question = await ask<Post>("introspection");
  const send = (to: Post, token: string) => post(port, { ...to, body: to.body + encodeURIComponent(token) });
  const [first = ""] = tokens;
  const good = await send(form, first);
  assert.equal(good.status, 200, good.text);
  const { access_token: access, refresh_token: next } = JSON.parse(good.text);
  const header = format === "JWT" ? Buffer.from(access.split(".")[0], "base64url").toString() : "opaque";
  assert.ok(format === "opaque" || header.includes('"ES256"'), header);
  assert.notEqual(next, first);
  const introspected = await send(question, access);
  if (server === "oidc-provider" && format === "JWT") assert.equal(introspected.status, 400);
  else assert.equal(JSON.parse(introspected.text).active, true, introspected.text);
  const wrong = await send(question, "no-such-token");
  assert.ok(!wrong.text.includes('"active":true'), wrong.text);
  const anonymous = await send({ ...question, headers: form.headers }, access);
  if (question.headers.authorization !== form.headers.authorization)
    assert.ok(anonymous.status >= 400, anonymous.text);
  assert.equal((await send(form, next)).status, 200);
  const again = await send(form, first);
  assert.equal(again.status, 400, again.text);
  return `refresh ${good.status}, rotated, used again ${again.status}; access token ${header}, ${access.length} bytes; introspection ${introspected.text.slice(0, 40)}`;
}
