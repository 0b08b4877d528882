import { expect } from "vitest";
import type { HttpHandler } from "../../src/http/endpoint.ts";
import { Events } from "../support/events.ts";
import { ask, readAnswer } from "../support/raw-http.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { reply, replyJson, textOf } from "../support/reply.ts";
import { within } from "../support/within.ts";
import { type Fact, type Gate, maxBodyBytes, type Rig, socketPath } from "./transport-rig.ts";

const mirroredHeaders = ["x-one", "accept"];

/** Says what it was asked, and what it read of the body. */
const mirror: HttpHandler = async (request, peer) => {
  const { pathname, search, host } = request.url;
  const body = textOf(request);
  const headers = Object.fromEntries(mirroredHeaders.map((name) => [name, request.headers.get(name)]));
  return replyJson({ method: request.method, pathname, search, host, headers, body, peer });
};

function mirrored(rig: Rig): Promise<Gate> {
  return rig.start({ http: mirror });
}

export function requestFacts(fact: Fact): void {
  fact("serves GET with path, query, headers, Host and peer", async (rig) => {
    const gate = await mirrored(rig);
    const answer = await gate.fetch("/a/b%20c?d=e&d=f", {
      headers: { "x-one": "aÃ¤b", accept: "text/plain" },
    });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      method: "GET",
      pathname: "/a/b%20c",
      search: "?d=e&d=f",
      host: `127.0.0.1:${gate.port}`,
      headers: { "x-one": "aÃ¤b", accept: "text/plain" },
      body: "",
      peer: { address: "127.0.0.1" },
    });
  });

  fact("serves POST with a body of exactly the limit", async (rig) => {
    const gate = await mirrored(rig);
    const body = "ü".repeat(maxBodyBytes / 2);
    const answer = await gate.fetch("/token", { method: "POST", body });
    expect(await answer.json()).toMatchObject({ method: "POST", body });
  });

  fact("serves a chunked body", async (rig) => {
    const gate = await mirrored(rig);
    const chunks = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    const text = `POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n${chunks}`;
    expect(JSON.parse((await ask(gate.at, text)).body)).toMatchObject({ body: "hello world" });
  });

  fact("serves multipart and urlencoded forms", async (rig) => {
    const gate = await rig.start({
      http: async ({ headers, body }) => {
        const type = { "content-type": headers.get("content-type") ?? "" };
        return replyJson([...(await new Response(Buffer.from(body), { headers: type }).formData())]);
      },
    });
    const form = new FormData();
    form.set("grant_type", "authorization_code");
    for (const body of [form, new URLSearchParams({ grant_type: "authorization_code" })]) {
      const answer = await gate.fetch("/auth/token", { method: "POST", body });
      expect(await answer.json()).toEqual([["grant_type", "authorization_code"]]);
    }
  });

  fact("answers a body over the limit 413 and asks nobody", async (rig) => {
    const gate = await mirrored(rig);
    const big = "x".repeat(maxBodyBytes + 1);
    const answer = await gate.fetch("/big", { method: "POST", body: big });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toEqual({ message: "Request body is too large", code: "payload_too_large" });
    const chunked = `POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${(maxBodyBytes + 1).toString(16)}\r\n${big}\r\n0\r\n\r\n`;
    expect((await ask(gate.at, chunked)).status).toBe(413);
    const small = await gate.fetch("/small", { method: "POST", body: "x" });
    expect(small.status).toBe(200);
  });

  fact("serves 100-continue", async (rig) => {
    const gate = await mirrored(rig);
    const raw = await RawSocket.connect(gate.at);
    raw.write("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    expect(await raw.head()).toMatch(/^HTTP\/1.1 100 /);
    raw.write("ok");
    expect(JSON.parse((await readAnswer(raw)).body)).toMatchObject({ body: "ok" });
    raw.destroy();
  });

  fact("gives GET of the socket path without an upgrade to http", async (rig) => {
    const gate = await mirrored(rig);
    expect(await (await gate.fetch(socketPath)).json()).toMatchObject({ pathname: socketPath });
    const withKey = await gate.fetch(socketPath, { headers: { "sec-websocket-key": "x" } });
    expect(await withKey.json()).toMatchObject({ pathname: socketPath });
  });

  fact("uses a fixed host where the Host header is none", async (rig) => {
    const gate = await mirrored(rig);
    for (const host of ["a b", "user@evil", "evil/path", "a#b", "[::1", "x:99999999", "%41"]) {
      const answer = await ask(gate.at, `GET /h HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect(JSON.parse(answer.body)).toMatchObject({ host: "localhost", pathname: "/h" });
    }
    const ipv6 = await ask(gate.at, "GET /h HTTP/1.1\r\nHost: [::1]:8123\r\n\r\n");
    expect(JSON.parse(ipv6.body)).toMatchObject({ host: "[::1]:8123" });
  });

  fact("asks nobody for a path that a proxy before it could read as another one", async (rig) => {
    const gate = await mirrored(rig);
    const paths = [
      "/a/../b",
      "/a/./b",
      "/..",
      "/a/%2e%2e/b",
      "/a/.%2E/b",
      "/a\\..\\b",
      "/\\b",
      "/b#c",
      '/"b"',
    ];
    for (const path of paths) {
      const { status, body } = await ask(gate.at, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect([path, status, JSON.parse(body)]).toEqual([
        path,
        400,
        { message: "Malformed request", code: "invalid_format" },
      ]);
    }
    for (const path of ["//b", "/a/..b", "/a%2fb", "/a;b", "/b/", "/%zz", "/b?c=../d#"]) {
      const answer = await ask(gate.at, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(JSON.parse(answer.body)).toMatchObject({ pathname: path.split("?")[0] });
    }
  });

  fact("answers a method that is none of HTTP's usual ones without asking", async (rig) => {
    const gate = await mirrored(rig);
    expect((await ask(gate.at, "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n")).status).toBe(501);
  });
}

export function responseFacts(fact: Fact): void {
  fact("sends status, headers and every cookie of the answer", async (rig) => {
    const headers = { "x-one": "1", "cache-control": "no-store", "set-cookie": ["a=1", "b=2"] };
    const gate = await rig.start({ http: async () => reply("gone", { status: 410, headers }) });
    const answer = await gate.fetch("/");
    expect([answer.status, await answer.text()]).toEqual([410, "gone"]);
    expect(answer.headers.get("x-one")).toBe("1");
    expect(answer.headers.get("content-length")).toBe("4");
    expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(answer.headers.get("server")).toBeNull();
    expect([...answer.headers.keys()].filter((name) => name.includes("socket"))).toEqual([]);
  });

  fact("answers HEAD without a body, 204 without a length, on a connection that goes on", async (rig) => {
    const gate = await rig.start({
      http: async ({ url }) => (url.pathname.endsWith("/204") ? reply("", { status: 204 }) : reply("body")),
    });
    const kept = await RawSocket.connect(gate.at);
    const next = async () => (rig.capabilities.keepsConnections ? kept : await RawSocket.connect(gate.at));
    const first = await next();
    first.write("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    const head = await readAnswer(first, true);
    expect(head.status).toBe(200);
    expect(head.head).toMatch(/content-length: 4\r\n/i);
    expect(/connection: close/i.test(head.head)).toBe(!rig.capabilities.keepsConnections);
    const second = await next();
    second.write("GET /204 HTTP/1.1\r\nHost: x\r\n\r\n");
    const empty = await readAnswer(second);
    expect(empty.status).toBe(204);
    expect(empty.head.toLowerCase()).not.toMatch(/content-length|transfer-encoding/);
    expect(/connection: close/i.test(empty.head)).toBe(!rig.capabilities.keepsConnections);
    const third = await next();
    third.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await readAnswer(third)).toMatchObject({ status: 200, body: "body" });
    for (const raw of [kept, first, second, third]) {
      expect(raw.text).toBe("");
      raw.destroy();
    }
  });

  fact("sends a large answer whole to a client that reads slowly", async (rig) => {
    const gate = await rig.start({ http: async () => reply(new Uint8Array(6_000_000).fill(7)) });
    const answer = await gate.fetch("/");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const bytes = new Uint8Array(await within(answer.arrayBuffer(), "the whole answer"));
    expect(bytes.length).toBe(6_000_000);
    expect(bytes.every((byte) => byte === 7)).toBe(true);
  });

  fact("answers 500 and reports it when a header of the answer would end its field", async (rig) => {
    const bad = [
      { "x-one": "1\r\nx-two: 2" },
      { "x-one: 1\r\nx-two": "2" },
      { "set-cookie": ["a=1", "b\n"] },
    ];
    for (const headers of bad) {
      const gate = await rig.start({ http: async () => reply("served", { headers: { ...headers } }) });
      const answer = await ask(gate.at, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      expect([answer.status, answer.body.includes("served")]).toEqual([500, false]);
      expect(answer.head).not.toMatch(/x-two|set-cookie/);
      expect(gate.errors).toMatchObject([{ name: "TypeError" }]);
    }
  });

  fact("answers 500 and reports it when the handler throws", async (rig) => {
    const gate = await rig.start({
      http: () => {
        throw new Error("broken endpoint");
      },
    });
    const answer = await gate.fetch("/");
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("broken");
    expect(gate.errors).toMatchObject([{ message: "broken endpoint" }]);
  });
}

export function connectionFacts(fact: Fact): void {
  fact("keeps a connection for the next request, or says at each answer that it ends", async (rig) => {
    const gate = await mirrored(rig);
    const raw = await RawSocket.connect(gate.at);
    for (const path of rig.capabilities.keepsConnections ? ["/one", "/two", "/three"] : ["/one"]) {
      raw.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi`);
      const answer = await readAnswer(raw);
      expect(JSON.parse(answer.body)).toMatchObject({ pathname: path, body: "hi" });
      expect(/connection: close/i.test(answer.head)).toBe(!rig.capabilities.keepsConnections);
    }
    if (!rig.capabilities.keepsConnections) await raw.end();
    raw.destroy();
  });

  fact("keeps an idle connection as long as it was told, and 75 s by default", async (rig) => {
    if (!rig.capabilities.keepsConnections) return;
    const told = new Map<number | undefined, string | undefined>();
    for (const keepAliveMs of [1000, undefined]) {
      const gate = await rig.start(keepAliveMs === undefined ? {} : { keepAliveMs });
      const raw = await RawSocket.connect(gate.at);
      raw.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      told.set(keepAliveMs, /keep-alive: timeout=(\d+)/i.exec((await readAnswer(raw)).head)?.[1]);
      if (keepAliveMs !== undefined) await raw.end();
      expect(raw.ended).toBe(keepAliveMs !== undefined);
      raw.destroy();
    }
    expect([...told]).toEqual([
      [1000, "1"],
      [undefined, "75"],
    ]);
  });

  fact(
    "serves HTTP/1.0 and a target in absolute form like any other, where the parser reads them",
    async (rig) => {
      const gate = await mirrored(rig);
      const asked: readonly (readonly [string, string])[] = [
        ["GET /a?b HTTP/1.0\r\n\r\n", "localhost"],
        ["GET /a?b HTTP/1.0\r\nHost: x\r\n\r\n", "x"],
        ["GET http://y/a?b HTTP/1.1\r\nHost: x\r\n\r\n", "x"],
      ];
      for (const [text, host] of rig.capabilities.answersUnparsable ? asked : []) {
        const answer = await ask(gate.at, text);
        expect(JSON.parse(answer.body)).toMatchObject({ pathname: "/a", search: "?b", host });
      }
      if (rig.capabilities.answersUnparsable) return;
      // Another parser takes them for a header that has not come whole: nobody is asked.
      const raws = await Promise.all(asked.map(() => RawSocket.connect(gate.at)));
      for (const [index, [text]] of asked.entries()) raws[index]?.write(text);
      await gate.fetch("/after");
      for (const raw of raws) {
        expect(raw.text).toBe("");
        raw.destroy();
      }
      expect(gate.requests).toEqual([]);
    },
  );

  fact("sends an answer to a chunked request whole, and ends the connection that it came on", async (rig) => {
    const gate = await rig.start({ http: async () => reply("A".repeat(30_000)) });
    const raw = await RawSocket.connect(gate.at);
    const closing = rig.capabilities.keepsConnections ? "Connection: close\r\n" : "";
    raw.write(`POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${closing}\r\n0\r\n\r\n`);
    await raw.end();
    const [head = "", body = ""] = raw.text.split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1.1 200 /);
    expect(body).toBe("A".repeat(30_000));
    expect(raw.text.match(/connection:/gi)).toHaveLength(1);
    raw.destroy();
  });

  fact("never mixes up pipelined requests", async (rig) => {
    const gate = await mirrored(rig);
    const raw = await RawSocket.connect(gate.at);
    const paths = ["/1", "/2", "/3"];
    raw.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
    if (rig.capabilities.pipelining) {
      for (const path of paths)
        expect(JSON.parse((await readAnswer(raw)).body)).toMatchObject({ pathname: path });
    } else {
      await raw.end();
      expect(raw.text).toBe("");
    }
    raw.destroy();
  });

  fact("throws away an answer whose client has gone, and reports nothing", async (rig) => {
    const running = new Events<void>("a running request");
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const gate = await rig.start({
      http: async ({ url }) => {
        if (url.pathname === "/next") return reply("next");
        running.push();
        await finished;
        return reply("too late");
      },
    });
    const raw = await RawSocket.connect(gate.at);
    raw.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await running.next();
    raw.reset();
    expect(await (await gate.fetch("/next")).text()).toBe("next");
    finish();
    expect(await (await gate.fetch("/next")).text()).toBe("next");
    expect(gate.errors).toEqual([]);
  });

  fact("asks nobody for a body that was never finished", async (rig) => {
    const gate = await mirrored(rig);
    const raw = await RawSocket.connect(gate.at);
    raw.write("POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    raw.reset();
    expect((await gate.fetch("/next")).status).toBe(200);
    expect(gate.errors).toEqual([]);
  });

  fact("lets a running request end before it closes", async (rig) => {
    const running = new Events<void>("a running request");
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const gate = await rig.start({
      http: async () => {
        running.push();
        await finished;
        return reply("finished");
      },
    });
    const answer = gate.fetch("/");
    const raw = await RawSocket.connect(gate.at);
    raw.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await running.next();
    await running.next();
    const closing = gate.listener.close(60_000);
    finish();
    await within(closing, "the listener to close");
    expect(await (await answer).text()).toBe("finished");
    await raw.end();
    expect(raw.text).toContain("finished");
    raw.destroy();
  });
}
