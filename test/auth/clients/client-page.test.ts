import { type AddressInfo, connect, createServer } from "node:net";
import { describe, expect, it } from "vitest";

import { createClientPages } from "../../../src/auth/clients/client-page.ts";
import { checkRequest } from "../../../src/auth/oauth/authorization-request.ts";
import { UpstreamRequestError } from "../../../src/net/bounded-fetch.ts";

const clientId = "https://app.example/about";
const pagesWith = (body: string, type = "text/html", status = 200) =>
  createClientPages(async () => new Response(body, { status, headers: { "content-type": type } }));
const document = (fields: object) =>
  JSON.stringify({ client_id: clientId, redirect_uris: ["app.example:/cb"], ...fields });

describe("redirect URIs at a client id", () => {
  it.each<[string, string, string, readonly string[]]>([
    [
      "a link",
      '<link rel="redirect_uri" href="https://other.example/cb">',
      "text/html",
      ["https://other.example/cb"],
    ],
    ["a relative link", "<LINK href=/cb rel=redirect_uri>", "text/html", ["https://app.example/cb"]],
    [
      "other attributes and quotes",
      "<link\n data-x rel='x redirect_uri' href='/a?b=1&amp;c=2' />",
      "text/html",
      ["https://app.example/a?b=1&c=2"],
    ],
    ["another link", '<link rel="stylesheet" href="/cb">', "text/html", []],
    ["a link without an address", '<link rel="redirect_uri">', "text/html", []],
    ["an address that is none", '<link rel="redirect_uri" href="https://[">', "text/html", []],
    ["plain text", '<link rel="redirect_uri" href="/cb">', "text/plain", []],
    ["a picture", '<link rel="redirect_uri" href="/cb">', "image/svg+xml", []],
    ...[
      "<!-- X -->",
      "<!-- > X",
      "<textarea>X</textarea>",
      "<script>'X'</script>",
      "<title>X</title>",
      "<style>X",
      "<p title='X'>",
      "<p title='a>X'>",
      "<noscript>X</noscript>",
      "<template>X</template>",
      "<p title='X",
      "<!--><script>-->X</script>",
      "<!--- --!><script>-->X</script>",
      "<script><!--<script></script>X</script>-->",
      "<svg><![CDATA[>X]]></svg>",
      "<plaintext></plaintext >X",
    ].map((page): [string, string, string, readonly string[]] => [
      page,
      page.replace("X", '<link rel="redirect_uri" href="/cb">'),
      "text/html; charset=utf-8",
      [],
    ]),
    [
      "a link after a comment, a script and attributes",
      "<!doctype html><!-- <link --><script>if (a < b) '<link'</script><p class=x title='>'>a < b<link rel=redirect_uri href=/cb>",
      "TEXT/HTML",
      ["https://app.example/cb"],
    ],
    ["a document", document({}), "application/json", ["app.example:/cb"]],
    [
      "a document of another client",
      document({ client_id: "https://evil.example/" }),
      "application/json",
      [],
    ],
    [
      "a document with a fragment",
      document({ redirect_uris: ["https://a.example/#x", 1] }),
      "application/json",
      [],
    ],
    ["a document that is none", "[", "application/json", []],
    ["a document that is null", "null", "application/json", []],
  ])("are read from %s", async (_, body, type, uris) => {
    expect(await pagesWith(body, type).redirectUris(clientId)).toEqual(uris);
  });

  it("are none if the page cannot be read, and no fault", async () => {
    expect(await pagesWith("", "text/html", 404).redirectUris(clientId)).toEqual([]);
    const away = createClientPages(async () => {
      throw new UpstreamRequestError("internal", false);
    });
    expect(await away.redirectUris(clientId)).toEqual([]);
  });

  it("are asked for again if there was no page", async () => {
    const answers = [new Response("", { status: 503 }), new Response('<link rel="redirect_uri" href="/cb">')];
    answers[1]?.headers.set("content-type", "text/html");
    let failed = false;
    const pages = createClientPages(async () => {
      if (!failed) {
        failed = true;
        throw new UpstreamRequestError("away", false);
      }
      return answers.shift() ?? new Response("");
    });
    expect(await pages.redirectUris(clientId)).toEqual([]);
    expect(await pages.redirectUris(clientId)).toEqual([]);
    expect(await pages.redirectUris(clientId)).toEqual(["https://app.example/cb"]);
  });

  it("cost little: one page is read once, and few at once", async () => {
    let asked = 0;
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const pages = createClientPages(async () => {
      asked += 1;
      await gate;
      return new Response("");
    });
    const many = Array.from({ length: 20 }, (_, place) => pages.redirectUris(`https://${place}.example/`));
    const refused = many.slice(8).map((each) => expect(each).rejects.toMatchObject({ code: "overloaded" }));
    await Promise.all(refused);
    release();
    await Promise.all(many.slice(0, 8));
    await pages.redirectUris("https://0.example/");
    expect(asked).toBe(8);
    // A page of many links, and of none that ends, is read in little time.
    const hostile = `<link ${"a ".repeat(5000)}${"<link rel=redirect_uri href=/x ".repeat(300)}`;
    expect(await pagesWith(hostile).redirectUris(clientId)).toEqual([]);
  });

  it.each([
    "https://127.0.0.1/",
    "https://10.0.0.1/",
    "https://[::1]/",
    "https://169.254.169.254/",
    "https://100.64.0.1/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://localhost/",
    "https://localhost./",
    "http://app.example/",
    "file:///etc/passwd",
    "data:text/html,<link rel=redirect_uri href=/x>",
  ])("are never asked for at %s", async (id) => {
    // The real one: it refuses before it connects.
    expect(await createClientPages().redirectUris(id)).toEqual([]);
  });

  it("are never asked for on this machine, however its address is written, or named", async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, "::", resolve));
    const { port } = server.address() as AddressInfo;
    const spellings = ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "017700000001", "0.0.0.0"];
    const hosts = [
      ...spellings,
      "localhost",
      "LOCALHOST",
      "[::1]",
      "[::]",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
    ];
    for (const host of [...hosts, "app.example@127.0.0.1"])
      expect(await createClientPages().redirectUris(`https://${host}:${port}/`), host).toEqual([]);
    expect(connections).toBe(0);
    // The machine would have answered.
    await new Promise((resolve) => connect(port, "127.0.0.1").on("close", resolve));
    expect(connections).toBe(1);
    await new Promise((resolve) => server.close(resolve));
  });

  it("are none where the page sends on to another address", async () => {
    const asked: string[] = [];
    const pages = createClientPages(async (url) => {
      asked.push(String(url));
      const headers = { location: "https://169.254.169.254/latest/", "content-type": "text/html" };
      return new Response('<link rel="redirect_uri" href="/cb">', { status: 302, headers });
    });
    expect(await pages.redirectUris(clientId)).toEqual([]);
    expect(asked).toEqual([clientId]);
  });

  it("let no script through, whatever a page names", async () => {
    const clientPages = pagesWith(
      '<link rel="redirect_uri" href="javascript:alert(1)"><link rel="redirect_uri" href="myapp://cb">',
    );
    const asked = (redirectUri: string) =>
      checkRequest({ clients: { find: async () => undefined }, clientPages }, "code", {
        clientId,
        redirectUri,
        codeChallenge: null,
        scope: null,
        resource: null,
        nonce: null,
      });
    await expect(asked("javascript:alert(1)")).rejects.toMatchObject({ code: "invalid_redirect_uri" });
    expect(await asked("myapp://cb")).toMatchObject({ redirectUri: "myapp://cb" });
    await expect(asked("myapp://other")).rejects.toMatchObject({ code: "invalid_redirect_uri" });
  });
});
