import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { pageFile } from "../../src/http/pages.ts";
import { readPages } from "../../src/server/pages.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { httpUnderTest, scriptedAuthority } from "./http-under-test.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder.path, name)), { recursive: true });
    writeFileSync(path.join(folder.path, name), text);
  }
}

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const dataPolicy = "default-src 'none'; frame-ancestors 'none'";

describe("the folder of pages", () => {
  it("is served as it is: pages without their ending, everything with its type and headers", async () => {
    write({
      "console.html": "<!doctype html>",
      "console/views.js": "export {};",
      "shared/mark.svg": "<svg/>",
      "console.css": "body {}",
    });
    const http = httpUnderTest(scriptedAuthority({}), { pages: await readPages(folder.path) });
    const served = async (address: string) => {
      const { status, headers, text } = await http.ask(address);
      const shown = ["content-type", "cache-control", "content-security-policy", "permissions-policy"];
      return [status, text, ...shown.map((name) => headers.get(name))];
    };
    const nothing = "camera=(), geolocation=(), microphone=()";
    expect(await served("/console")).toEqual([
      ...[200, "<!doctype html>", "text/html; charset=utf-8", "no-cache", policy, nothing],
    ]);
    expect(await served("/console.css")).toEqual([
      ...[200, "body {}", "text/css; charset=utf-8", "no-cache", dataPolicy, null],
    ]);
    expect(await served("/console/views.js")).toEqual([
      ...[200, "export {};", "text/javascript; charset=utf-8", "no-cache", dataPolicy, null],
    ]);
    expect(await served("/shared/mark.svg")).toEqual([
      ...[200, "<svg/>", "image/svg+xml", "no-cache", dataPolicy, null],
    ]);
    for (const address of ["/console.html", "/console/", "/nothing", "/console/../console", "/shared"])
      expect((await http.ask(address)).status).toBe(address === "/console/../console" ? 200 : 404);
  });

  it("is read in the order of the paths, without what is no file of it", async () => {
    write({ "b.js": "", "a.html": "", "c/d.css": "" });
    symlinkSync("/etc/passwd", path.join(folder.path, "e.js"));
    expect((await readPages(folder.path)).map((page) => page.path)).toEqual(["/a", "/b.js", "/c/d.css"]);
    const known = ["/authorize.js", "/device.js", "/page.css", "/setup.js"];
    expect((await readPages()).map((page) => page.path)).toEqual(known);
  });

  it.each([
    "notes.txt",
    "page",
    ".html",
    "a.b.html",
    "UP.html",
    "a b.js",
    ":id.html",
    "../up.html",
    "toString.js",
    "a.constructor",
  ])("refuses %j", (name) => {
    expect(() => pageFile(name, "")).toThrow(`${name} is no page, and no part of one`);
  });

  it("has no page at an address that something else has", () => {
    const pages = [pageFile("healthz.html", "")];
    expect(() => httpUnderTest(scriptedAuthority({}), { pages })).toThrow("two routes GET /healthz");
  });
});
