import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostsJob } from "../../bench/load/posts.ts";
import { type Child, startChild } from "../../bench/support/child.ts";
import { httpContestant } from "../../bench/support/http-operations.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

interface Seen {
  readonly url: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
  readonly address: string | undefined;
}

/** How the server of the test answers, by path. */
const answers: Readonly<Record<string, (response: ServerResponse, nth: number) => void>> = {
  "/whole": (response, nth) => response.end(`{"refresh_token":"next ${nth}"}`),
  "/chunked"(response, nth) {
    response.write('{"refresh_to');
    setImmediate(() => response.end(`ken":"next ${nth} ü"}`));
  },
  "/closing"(response, nth) {
    response.setHeader("connection", "close");
    response.end(`{"refresh_token":"next ${nth}"}`);
  },
  "/broken": (response) => void response.destroy(),
  "/refused"(response) {
    response.statusCode = 429;
    response.end("slower");
  },
};

describe("the load generator for HTTP", () => {
  const folder = temporaryFolder();
  const seen: Seen[] = [];
  let connections = 0;
  const server = createServer((request: IncomingMessage, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      body += chunk;
    });
    request.on("end", () => {
      const { url, headers, socket } = request;
      seen.push({ url, body, type: headers["content-type"], address: socket.remoteAddress });
      answers[url ?? ""]?.(response, seen.length);
    });
  });
  server.on("connection", () => {
    connections += 1;
  });
  let posters: Child;

  beforeAll(async () => {
    const outfile = path.join(folder.path, "posts.mjs");
    await build({
      entryPoints: [path.resolve(import.meta.dirname, "../../bench/load/posts.ts")],
      bundle: true,
      platform: "node",
      format: "esm",
      outfile,
      logLevel: "silent",
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    posters = await startChild(outfile, { on: "load" });
  });
  afterAll(async () => {
    await posters?.stop();
    server.close();
    await folder.remove();
  });

  const post = (url: string) => ({ path: url, headers: { "content-type": "text/plain" }, body: "token=" });
  const tokens = Array.from({ length: 40 }, (_, nth) => `a+b ${nth}`);
  const port = () => (server.address() as AddressInfo).port;

  function posted(url: string, more: Partial<PostsJob> = {}): Promise<{ readonly kept: readonly string[] }> {
    seen.length = 0;
    connections = 0;
    return posters.ask("posts", { ...post(url), port: port(), tails: tokens, inFlight: 4, ...more });
  }

  it("sends one request for each token, on connections that it keeps, from several addresses", async () => {
    await posted("/whole");
    expect(seen.map(({ body }) => decodeURIComponent(body)).sort()).toEqual(
      tokens.map((token) => `token=${token}`).sort(),
    );
    expect(new Set(seen.map(({ type }) => type))).toEqual(new Set(["text/plain"]));
    expect(connections).toBe(4);
    expect(new Set(seen.map(({ address }) => address)).size).toBe(4);
  });

  it("reads whole and chunked answers", async () => {
    expect((await posted("/whole", { keep: "refresh_token" })).kept).toContain("next 40");
    expect((await posted("/chunked", { keep: "refresh_token" })).kept).toContain("next 40 ü");
  });

  it("opens a connection for each request where the server ends them", async () => {
    expect((await posted("/closing", { keep: "refresh_token" })).kept).toHaveLength(40);
    expect(connections).toBe(40);
  });

  it("fails if an answer is not a success, breaks off, or lacks what it must have", async () => {
    await expect(posted("/refused")).rejects.toThrow("/refused answered 429: slower");
    await expect(posted("/broken")).rejects.toThrow(/ended before the answer|ECONNRESET/);
    await expect(posted("/whole", { contains: '"active":true' })).rejects.toThrow("/whole answered 200");
  });

  it("sends what the last round's answers gave, if the operation rotates", async () => {
    const one = { name: "x", server: { ...posters, port: port() }, inFlight: 4, tokens };
    const rotating = httpContestant(posters, { ...one, post: post("/whole"), rotates: true });
    expect((await rotating.run()).operations).toBe(40);
    seen.length = 0;
    await rotating.run();
    expect(seen.every(({ body }) => body.startsWith("token=next"))).toBe(true);
    const fixed = httpContestant(posters, { ...one, post: post("/whole") });
    await fixed.run();
    seen.length = 0;
    await fixed.run();
    expect(seen.some(({ body }) => body.startsWith("token=next"))).toBe(false);
  });
});
