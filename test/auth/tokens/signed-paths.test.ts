import { createHmac, randomBytes } from "node:crypto";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { beforeEach, describe, expect, it } from "vitest";

import { createSealing } from "../../../src/auth/tokens/sealing.ts";
import { createSignedPaths } from "../../../src/auth/tokens/signed-paths.ts";
import { base64url, HandClock, hexId, segments, startOfTime } from "./installation.ts";

const secret = randomBytes(32);
const sessionId = hexId();
let clock: HandClock;

beforeEach(() => {
  clock = new HandClock();
});

const paths = (of: Uint8Array = secret) => createSignedPaths({ sealing: createSealing(of), clock });
const sign = (path: string, ttlSeconds = 30) => paths().sign(sessionId, path, ttlSeconds);
const verify = (path: string) => paths().verify(path);
const signatureOf = (signed: string) => signed.slice(signed.indexOf("authSig=") + "authSig=".length);

describe("signed paths", () => {
  it.each([
    ["/api/camera", "/api/camera?authSig="],
    ["/", "/?authSig="],
    ["/api/camera?token=a&b=", "/api/camera?token=a&b=&authSig="],
    ["/media/a%2Fb/%C3%A9", "/media/a%2Fb/%C3%A9?authSig="],
    ["/media/é ü", "/media/%C3%A9%20%C3%BC?authSig="],
    ["/a?next=//b/../c", "/a?next=//b/../c&authSig="],
    ["/a?width=3&height=4", "/a?width=3&height=4&authSig="],
    ["/a...b/..c/d..", "/a...b/..c/d..?authSig="],
  ])("%s is signed as a browser sends it, and verified", async (path, start) => {
    const signed = await sign(path);
    expect(signed.startsWith(start)).toBe(true);
    expect(await verify(signed)).toBe(sessionId);
  });

  it("have Home Assistant's claims", async () => {
    const signature = signatureOf(await sign("/api/camera?b=2&width=100&a=%C3%A9&b=1&height=1"));
    const seconds = startOfTime / 1000;
    expect(decodeJwt(signature)).toEqual({
      iss: sessionId,
      path: "/api/camera",
      params: [
        ["b", "2"],
        ["a", "é"],
        ["b", "1"],
      ],
      iat: seconds,
      exp: seconds + 30,
    });
    expect(decodeProtectedHeader(signature)).toEqual({ alg: "HS256", typ: "signed-path+jwt" });
  });

  it("are valid for any size, wherever size and signature are in the query", async () => {
    const signature = signatureOf(await sign("/api/camera?a=1&b=2"));
    for (const query of [
      "a=1&b=2&authSig=SIG&width=640&height=480",
      "authSig=SIG&width=1&a=1&b=2",
      "a=1&height=9&b=2&authSig=SIG",
    ])
      expect(await verify(`/api/camera?${query.replace("SIG", signature)}`)).toBe(sessionId);
  });

  it("are refused for every other path or query", async () => {
    const signature = signatureOf(await sign("/api/camera?a=1&b=2"));
    const others = [
      "/api/camera?",
      "/api/camera?a=1&",
      "/api/camera?b=2&a=1&",
      "/api/camera?a=1&b=2&c=3&",
      "/api/camera?a=1&a=1&b=2&",
    ];
    const spelled = [
      "/api/Camera?a=1&b=2&",
      "/api/camera/?a=1&b=2&",
      "/api%2Fcamera?a=1&b=2&",
      "/api/%63amera?a=1&b=2&",
      "/API/camera?a=1&b=2&",
    ];
    const moved = [
      "//api/camera?a=1&b=2&",
      "/x/../api/camera?a=1&b=2&",
      "/./api/camera?a=1&b=2&",
      "/x/%2e%2e/api/camera?a=1&b=2&",
      "/api\\camera?a=1&b=2&",
      "http://h/api/camera?a=1&b=2&",
      "api/camera?a=1&b=2&",
    ];
    for (const other of [...others, ...spelled, ...moved])
      expect(await verify(`${other}authSig=${signature}`), other).toBeUndefined();
    expect(await verify(`/api/camera?a=1&b=2&authSig=${signature}&authSig=${signature}`)).toBeUndefined();
    expect(await verify(`/api/camera?a=1&b=2&authSig=${signature}#x`)).toBeUndefined();
    expect(await verify(`/api/camera?a=1&b=2&AUTHSIG=${signature}`)).toBeUndefined();
  });

  it.each([
    "",
    "a",
    "https://evil.example/a",
    "http:/a",
    "//evil.example/a",
    "/\\evil.example",
    "\\\\evil.example",
    "/a//b",
    "/a/../b",
    "/a/..",
    "/..",
    "/.",
    "/a/./b",
    "/a/%2e%2e/b",
    "/a/%2E./b",
    "/a/..%2fb",
    "/a%2f..%2fb",
    "/a%5c..%5cb",
    "/a%2f%2fb",
    "/a\tb",
    "/a\nb",
    "/a\r\nX: y",
    "/a\0b",
    "/a%00b",
    "/a%0d%0ab",
    "/a\u0085b",
    "/a%C2%85b",
    "/a#b",
    "/a?b#c",
    "/a?b\\c",
    "/a?b\nc",
    "/a%",
    "/a%zz",
    "/a%ff",
    "/a?authSig=x",
    "/a?b=1&authSig",
    "/a?auth%53ig=x",
    " /a",
    "javascript:alert(1)",
    `/${"a".repeat(2048)}`,
  ])("%j is not signed", async (path) => {
    await expect(sign(path)).rejects.toMatchObject({ code: "invalid_format" });
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 86_401])(
    "refuses a life of %d s",
    async (ttl) => {
      await expect(sign("/a", ttl)).rejects.toMatchObject({ code: "invalid_format" });
    },
  );

  it("expire at the exact second", async () => {
    const signed = await sign("/a", 30);
    clock.pass(29_999);
    expect(await verify(signed)).toBe(sessionId);
    clock.pass(1);
    expect(await verify(signed)).toBeUndefined();
  });

  it("survive a restart, and are refused by another installation", async () => {
    const signed = await sign("/a");
    expect(await paths(Uint8Array.from(secret)).verify(signed)).toBe(sessionId);
    expect(await paths(randomBytes(32)).verify(signed)).toBeUndefined();
  });

  it("are refused with every single character of the signature changed", async () => {
    const signed = await sign("/a");
    const start = signed.indexOf("=") + 1;
    for (let at = start; at < signed.length; at++) {
      const code = signed.charCodeAt(at);
      const changes = [code ^ 1, code ^ 2, code ^ 4, code ^ 32, code + 0x100].map((changed) =>
        String.fromCharCode(changed),
      );
      for (const character of [...changes, "", "=", "%00"])
        expect(await verify(signed.slice(0, at) + character + signed.slice(at + 1))).toBeUndefined();
    }
  });

  it("are refused without a signature, with alg none, and with claims that somebody else signed", async () => {
    const [, payload] = segments(signatureOf(await sign("/a")));
    const header = base64url('{"alg":"HS256","typ":"signed-path+jwt"}');
    const none = base64url('{"alg":"none","typ":"signed-path+jwt"}');
    const forged = (key: string | Buffer) =>
      `${header}.${payload}.${createHmac("sha256", key).update(`${header}.${payload}`).digest("base64url")}`;
    const empty = forged("");
    for (const bad of [
      "",
      ".",
      "..",
      `${none}.${payload}.`,
      `${none}.${payload}.${"A".repeat(43)}`,
      empty,
      forged(secret),
      "x".repeat(20_000),
    ])
      expect(await verify(`/a?authSig=${bad}`)).toBeUndefined();
    for (const bad of ["", "/a", "a", "/a?authSig", "/a?%", "%", "\0"])
      expect(await verify(bad)).toBeUndefined();
  });
});
