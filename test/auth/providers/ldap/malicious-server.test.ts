import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";

import { AuthError } from "../../../../src/auth/errors.ts";
import { withConnection } from "../../../../src/auth/providers/ldap/connection.ts";
import { ResponseGuard } from "../../../../src/auth/providers/ldap/response-guard.ts";
import { ldapProviderType } from "../../../../src/auth/providers/ldap/type.ts";
import { eventually } from "../../../support/eventually.ts";
import { within } from "../../../support/within.ts";

type Entry = Parameters<typeof ldapProviderType.create>[0];

/** BER: a tag and its content, with a length of one to five bytes. */
function ber(tag: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : [tag, 0x84, length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}
const message = (id: number, operation: Buffer, ...more: Buffer[]) =>
  ber(0x30, ber(0x02, Buffer.from([id])), operation, ...more);
const result = (tag: number, code = 0) =>
  ber(tag, ber(0x0a, Buffer.from([code])), ber(0x04, ""), ber(0x04, ""));
const entryOf = (dn: string, ...attributes: Buffer[]) => ber(0x64, ber(0x04, dn), ber(0x30, ...attributes));
const attribute = (name: string, ...values: string[]) =>
  ber(0x30, ber(0x04, name), ber(0x31, ...values.map((value) => ber(0x04, value))));
/** The id of a request: message ids of one byte, in messages shorter than 128 bytes. */
const idOf = (request: Buffer) => request[4] ?? 0;

const servers: { readonly server: Server; readonly sockets: Set<Socket> }[] = [];
afterEach(async () => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  }
});

/** A server that calls `answer` with every chunk; `seen` has all that was received. */
async function listen(
  answer: (socket: Socket, request: Buffer, count: number) => void,
  greet: (socket: Socket) => void = () => undefined,
) {
  const sockets = new Set<Socket>();
  const seen: Buffer[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    let count = 0;
    socket.on("error", () => undefined);
    greet(socket);
    socket.on("data", (chunk) => {
      seen.push(chunk);
      count += 1;
      answer(socket, chunk, count);
    });
  });
  servers.push({ server, sockets });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `ldap://127.0.0.1:${port}`, seen, sockets };
}

async function outcome(url: string, more: Partial<Entry> = {}) {
  const provider = ldapProviderType.create({
    type: "ldap",
    url,
    user_dn: "uid={username},dc=test",
    timeout_ms: 8_000,
    ...more,
  });
  const input = { username: "ada", password: "canary-password" };
  const context = { flowId: "f", peer: { address: "203.0.113.7" }, known: false };
  const answer = await within(
    provider.advance("init", input, {}, context).catch((error: unknown) => error),
    "the provider",
  );
  if (!(answer instanceof AuthError)) return answer;
  expect(answer.code).toBe("unavailable");
  expect(`${answer.detail}${answer.stack}`).not.toContain("canary");
  return answer.detail;
}

describe("a directory that", () => {
  it("answers as it should is believed", async () => {
    const { url } = await listen((socket, request, count) => {
      const id = idOf(request);
      const person = entryOf(
        "uid=ada,dc=test",
        attribute("entryUUID", "U1"),
        attribute("cn", "Ada", "Second"),
      );
      if (count === 1) socket.write(message(id, result(0x61)));
      else socket.write(Buffer.concat([message(id, person), message(id, result(0x65))]));
    });
    expect(await outcome(url)).toMatchObject({ kind: "done", subject: "u1", profile: { name: "Ada" } });
  });

  it("is silent, or stops in a message, costs the time limit", async () => {
    const silent = await listen(() => undefined);
    const half = await listen((socket) => socket.write(Buffer.from([0x30, 0x20, 0x02])));
    const answers = [outcome(silent.url, { timeout_ms: 300 }), outcome(half.url, { timeout_ms: 300 })];
    for (const detail of await Promise.all(answers)) expect(detail).toContain("did not answer within 300 ms");
    await eventually("the end of the connections", () => silent.sockets.size + half.sockets.size === 0);
  });

  it("closes, refuses, or is not there, is unavailable", async () => {
    const closing = await listen((socket) => socket.destroy());
    expect(await outcome(closing.url)).toMatch(/closed|reset/i);
    const busy = await listen((socket, request) => socket.write(message(idOf(request), result(0x61, 51))));
    expect(await outcome(busy.url)).toContain("BusyError (51)");
    expect(await outcome("ldap://127.0.0.1:1")).toContain("ECONNREFUSED");
  });

  it("closes after its first answer is not connected to again, where StartTLS would be missing", async () => {
    let connections = 0;
    const { url, seen } = await listen(
      (socket, request) => {
        socket.end(message(idOf(request), result(0x61)));
      },
      () => {
        connections += 1;
      },
    );
    const server = { url: new URL(url), startTls: false, caFile: undefined };
    const used = withConnection(server, 60_000, async (client) => {
      await client.bind("cn=a", "first");
      await eventually("the end of the connection", () => !client.isConnected);
      await client.bind("cn=a", "canary");
    });
    await expect(used).rejects.toThrow("it closed the connection");
    expect(connections).toBe(1);
    expect(Buffer.concat(seen).toString("latin1")).not.toContain("canary");
  });

  it("resets the connection between two requests is no uncaught error", async () => {
    const { url, sockets } = await listen(() => undefined);
    const server = { url: new URL(url), startTls: false, caFile: undefined };
    const used = withConnection(server, 60_000, async (client) => {
      await eventually("the connection", () => sockets.size === 1);
      for (const socket of sockets) socket.resetAndDestroy();
      // Nobody uses the connection now. The library connects only when it has something to send.
      await eventually("the reset", () => sockets.size === 0);
      for (let turn = 0; turn < 50; turn += 1) await setImmediate();
      await client.bind("cn=a", "canary");
    });
    await expect(used).rejects.toThrow("it closed the connection");
  });

  it.each([
    ["garbage", () => Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["a length without end", () => Buffer.from([0x30, 0x80, 0, 0])],
    [
      "lengths that contradict each other",
      (id: number) => message(id, ber(0x61, Buffer.from([0x0a, 0x7f, 0]))),
    ],
    [
      "an entry that is none",
      (id: number) => message(id, ber(0x64, ber(0x04, "x"), ber(0x30, ber(0x02, "1")))),
    ],
    ["an unknown operation", (id: number) => message(id, ber(0x7e, ""))],
  ])("sends %s is not waited for", async (_name, bytes) => {
    const { url } = await listen((socket, request) => socket.write(bytes(idOf(request))));
    expect(await outcome(url)).toContain("not LDAP");
  });

  it.each([
    ["a message of 4 GiB", "too large", () => Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff])],
    [
      "a huge message",
      "too large",
      (id: number) => message(id, entryOf("x=y", attribute("cn", "x".repeat(300_000)))),
    ],
    [
      "thousands of values",
      "too many values",
      (id: number) => message(id, entryOf("x=y", attribute("cn", ...Array<string>(11_000).fill("")))),
    ],
    [
      "thousands of messages at once",
      "too many messages",
      (id: number) => Buffer.concat(Array<Buffer>(20_000).fill(message(id, entryOf("x=y")))),
    ],
    [
      "one message after another",
      "too much",
      (id: number) =>
        Buffer.concat(
          Array<Buffer>(12).fill(message(id, entryOf("x=y", attribute("cn", "x".repeat(100_000))))),
        ),
    ],
  ])("sends %s is cut off", async (_name, words, bytes) => {
    const { url } = await listen((socket, request) => socket.write(bytes(idOf(request))));
    expect(await outcome(url)).toContain(words);
  });

  it("gives more people than were asked for, or one without a DN, proves nobody", async () => {
    const crowd = (entries: readonly Buffer[]) =>
      listen((socket, request) => {
        const id = idOf(request);
        // A bind has the tag 0x60, a search 0x63.
        if (request[5] === 0x60) socket.write(message(id, result(0x61)));
        else
          socket.write(
            Buffer.concat([...entries.map((each) => message(id, each)), message(id, result(0x65))]),
          );
      });
    const search = { user_dn: undefined, search_base: "dc=test" } as unknown as Partial<Entry>;
    const three = await crowd(["a=1", "b=2", "c=3"].map((dn) => entryOf(dn)));
    expect(await outcome(three.url, search)).toContain("ignores the size limit");
    for (const dn of ["", "EXTERNAL"]) {
      const { url } = await crowd([entryOf(dn, attribute("entryUUID", "u"))]);
      expect(await outcome(url, search)).toMatchObject({ kind: "form" });
    }
  });

  it("closes before TLS, or refuses it, gets no password", async () => {
    const refusing = await listen((socket, request) => socket.write(message(idOf(request), result(0x78, 2))));
    expect(await outcome(refusing.url, { start_tls: true })).toContain("ProtocolError (2)");
    const closing = await listen((socket, request) => {
      socket.write(message(idOf(request), result(0x78)));
      socket.end();
    });
    expect(await outcome(closing.url, { start_tls: true })).toEqual(expect.any(String));
    const early = await listen((socket, request) =>
      socket.write(Buffer.concat([message(idOf(request), result(0x78)), Buffer.from([0x30, 0x10])])),
    );
    expect(await outcome(early.url, { start_tls: true })).toContain("before TLS began");
    for (const { seen } of [refusing, closing, early])
      expect(Buffer.concat(seen).toString("latin1")).not.toContain("canary");
  });
});

describe("the guard of responses", () => {
  const whole = Buffer.concat([
    message(1, result(0x61), ber(0xa0, ber(0x30, ber(0x04, "1.2.3")))),
    message(2, entryOf("uid=ada,dc=test", attribute("cn", "Ada".repeat(60)))),
    message(2, ber(0x73, ber(0x04, "ldap://elsewhere.test"))),
    message(2, result(0x65)),
  ]);

  it("gives each message once however it was cut, without controls and references", () => {
    const cut = (size: number) => {
      const got: string[] = [];
      const guard = new ResponseGuard((each) => got.push(each.toString("hex")));
      for (let at = 0; at < whole.length; at += size) guard.read(whole.subarray(at, at + size));
      expect(guard.incomplete).toBe(false);
      return got;
    };
    const expected = [
      message(1, result(0x61)),
      message(2, entryOf("uid=ada,dc=test", attribute("cn", "Ada".repeat(60)))),
      message(2, result(0x65)),
    ].map((each) => each.toString("hex"));
    for (const size of [1, 2, 3, 7, 50, whole.length]) expect(cut(size)).toEqual(expected);
  });

  it("ends for every byte that is wrong", () => {
    for (let at = 0; at < whole.length; at += 1) {
      for (const value of [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff]) {
        const changed = Buffer.from(whole);
        changed[at] = value;
        const guard = new ResponseGuard(() => undefined);
        try {
          guard.read(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }
    }
  });
});
