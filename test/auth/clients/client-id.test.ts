import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { verifyClientId, verifyRedirectUri } from "../../../src/auth/clients/client-id.ts";

const android = "https://home-assistant.io/android";
const ios = "https://home-assistant.io/iOS";
const wear = "https://wear.googleapis.com/3p_auth/io.homeassistant.companion.android";
const wearChina = "https://wear.googleapis-cn.com/3p_auth/io.homeassistant.companion.android";

describe("a client id", () => {
  it.each([
    // Home Assistant's own tests
    "http://ex.com/",
    "https://ex.com/",
    "http://ex.com",
    "http://ex.com/hello",
    "http://ex.com/hello/.world",
    "http://ex.com/hello./.world",
    "http://www.home-assistant.io/",
    "http://[::1]",
    "http://127.0.0.1",
    "http://10.0.0.0",
    "http://10.255.255.255",
    "http://172.16.0.0",
    "http://172.31.255.255",
    "http://192.168.0.0",
    "http://192.168.255.255",
    // what real installations use
    "http://homeassistant.local:8123/",
    "http://homeassistant:8123",
    "http://localhost:8123/?x=1",
    "http://my_host:8123/",
    "https://xn--bcher-kva.example/",
    "https://EXAMPLE.com/Path",
    "HTTPS://example.com/",
    "https://example.com./",
    "http://192.168.1.2:8123/",
    "http://127.1.2.3:65535/",
    "http://169.254.3.4/",
    "http://[fd00::1]:8123/",
    "http://[fe80::1]/",
    "http://[::ffff:192.168.1.2]/",
    "http://[::ffff:c0a8:102]:8123/",
    "http://[::FFFF:127.0.0.1]/",
    // addresses that are not local: a cloud machine's, a VPN's
    "http://11.0.0.0/",
    "http://172.32.0.0/",
    "http://192.167.0.0/",
    "http://8.8.8.8/",
    "http://8.8.8.8:8123/",
    "http://[2001:db8::1]/",
    "http://[2001:db8::1]:8123/",
    "http://[::ffff:8.8.8.8]/",
    "http://100.101.102.103/",
    "http://100.101.102.103:8123/",
    "https://1.2.3.4.example/",
    "https://ex.com/a@b",
    "https://ex.com/?x@y",
    "https://ex.com?q",
    "https://0x7f.example/",
    android,
    ios,
  ])("may be %j", (clientId) => {
    expect(verifyClientId(clientId)).toBe(true);
  });

  it.each([
    // scheme
    "",
    "ex.com",
    "//ex.com/",
    "ftp://ex.com",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "about:blank",
    "vbscript:x",
    "ws://ex.com/",
    "homeassistant://auth-callback",
    "http:ex.com",
    "http:/ex.com",
    "https:///ex.com",
    "http://",
    "http:///",
    "://ex.com",
    "https//ex.com",
    "view-source:http://ex.com/",
    "blob:http://ex.com/",
    // user info
    "http://user@ex.com/",
    "http://user:pass@ex.com/",
    "http://@ex.com/",
    "http://:@ex.com/",
    "http://good.example@evil.example/",
    "http://good.example:80@evil.example/",
    "http://user%40ex.com/",
    // dot segments and fragments
    "http://ex.com/.",
    "http://ex.com/..",
    "http://ex.com/hello/./yo",
    "http://ex.com/hello/../yo",
    "http://ex.com/%2e/a",
    "http://ex.com/%2E%2e/a",
    "http://ex.com/.%2e",
    "http://ex.com/a/..;x",
    "http://ex.com/#yoo",
    "http://ex.com/#",
    "http://ex.com#",
    // characters that parsers drop or convert
    " http://ex.com/",
    "http://ex.com/ ",
    "http://ex.com/\n",
    "\thttp://ex.com/",
    "ht\ttp://ex.com/",
    "http://ex\t.com/",
    "http://ex.com\\@evil.example/",
    "http:\\\\ex.com\\",
    "http://ex.com\\evil",
    "http://ex.com/a\\b",
    "http://ex.com/\0",
    "http://e\u0000x.com/",
    "http://ex.com/\u00e9",
    "http://b\u00fccher.example/",
    "http://ex\u3002com/",
    "http://\uff45x.com/",
    "http://ex.com/\u202e",
    "\ufeffhttp://ex.com/",
    "http://ex.com/\u007f",
    // host
    "http://.ex.com/",
    "http://ex..com/",
    "http://ex.com../",
    "http://-ex.com/",
    "http://ex-.com/",
    "http://ex%2ecom/",
    "http://ex.com%00/",
    "http://ex,com/",
    "http://ex.com;x/",
    "http://[ex.com]/",
    `http://${"a".repeat(64)}.com/`,
    `http://${"a.".repeat(127)}com/`,
    "http://./",
    "http://*.ex.com/",
    "http://?x",
    "http://#x",
    // port
    "http://ex.com:/",
    "http://ex.com:0/",
    "http://ex.com:65536/",
    "http://ex.com:x/",
    "http://ex.com:-1/",
    "http://ex.com:80:80/",
    "http://ex.com:+80/",
    "http://ex.com: 80/",
    "http://ex.com:000080/",
    "http://:8123/",
    "http://ex.com:8_0/",
    "http://[::1]8123/",
    // addresses that are not in canonical form, or that identify no machine
    "http://08.8.8.8/",
    "http://8.8.8.8./",
    "http://8.8.8.8.:80/",
    "http://[::]/",
    "http://0.0.0.0/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.x]/",
    "http://[::1/",
    "http://::1/",
    "http://134744072/",
    "http://0x8.8.8.8/",
    "http://0x08080808/",
    "http://010.8.8.8/",
    "http://8.8/",
    "http://8.526344/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://256.0.0.1/",
    "http://1.2.3.4.5/",
    "http://ex.com.5/",
    "http://ex.0x/",
    "http://999/",
    // size
    `http://ex.com/${"a".repeat(3000)}`,
  ])("is never %j", (clientId) => {
    expect(verifyClientId(clientId)).toBe(false);
  });

  it("that is accepted is a plain http(s) origin to a browser too, with the host that was checked", () => {
    const piece = fc.constantFrom(
      ..."ab.:/@\\?#%2e0x7[]-_ \t;,1".split(""),
      "http://",
      "https://",
      "ex.com",
      "127.0.0.1",
      "[::1]",
      "..",
      "8.8.8.8",
    );
    const urls = fc.array(piece, { maxLength: 8 }).map((pieces) => `http://${pieces.join("")}`);
    let passed = 0;
    fc.assert(
      fc.property(urls, (clientId) => {
        if (!verifyClientId(clientId)) return;
        passed++;
        const url = new URL(clientId);
        const authority = clientId.slice("http://".length).split(/[/?]/, 1)[0]?.toLowerCase() ?? "";
        const port = /:0*(\d+)$/.exec(authority)?.[1] ?? "80";
        const host = authority.replace(/:\d+$/, "");
        // Browsers shorten an IPv6 address; every other host they take as it is.
        expect([url.hostname, url.port || "80"]).toEqual([host.startsWith("[") ? url.hostname : host, port]);
        expect(url.hostname.startsWith("[")).toBe(host.startsWith("["));
        expect([url.username, url.password, url.hash]).toEqual(["", "", ""]);
        expect(url.pathname).toBe(/^http:\/\/[^/?]*([^?]*)/.exec(clientId)?.[1] || "/");
      }),
      { numRuns: 20_000 },
    );
    expect(passed).toBeGreaterThan(500);
  });
});

describe("a redirect URI", () => {
  it.each([
    ["http://ex.com", "http://ex.com/callback"],
    ["http://ex.com/", "http://ex.com"],
    ["http://EX.com/", "HTTP://ex.COM/cb?auth_callback=1"],
    ["http://192.168.1.2:8123/", "http://192.168.1.2:8123/?auth_callback=1"],
    ["http://[::1]:8123/", "http://[::1]:8123/lovelace/0?auth_callback=1"],
    ["https://ex.com/app", "https://ex.com/elsewhere"],
    [android, "homeassistant://auth-callback"],
    [android, wear],
    [android, wearChina],
    [android, "https://home-assistant.io/x"],
    [ios, "homeassistant://auth-callback"],
  ])("of %j may be %j", (clientId, redirectUri) => {
    expect(verifyRedirectUri(clientId, redirectUri)).toBe(true);
  });

  it.each([
    ["http://ex.com", "http://different.com/callback"],
    ["http://ex.com", "https://ex.com/callback"],
    ["https://sub1.ex.com", "https://sub2.ex.com/callback"],
    ["https://ex.com", "https://sub.ex.com/"],
    ["https://ex.com", "https://ex.com.evil.example/"],
    ["https://ex.com", "https://ex.com@evil.example/"],
    ["https://ex.com", "https://evil.example/https://ex.com"],
    ["https://ex.com", "https://evil.example?https://ex.com"],
    ["https://ex.com", "https://ex.com\\.evil.example/"],
    ["https://ex.com", "https://ex.com\\@evil.example/"],
    ["https://ex.com", "https:/\\evil.example/"],
    ["https://ex.com", "//ex.com/"],
    ["https://ex.com", "/callback"],
    ["https://ex.com", "callback"],
    ["https://ex.com", ""],
    ["https://ex.com", "https://ex.com:8443/"],
    ["https://ex.com", "https://ex.com:443/"],
    ["https://ex.com:443", "https://ex.com/"],
    ["https://ex.com", "https://ex.com./"],
    ["https://ex.com", "https://ex.com/#token"],
    ["https://ex.com", "https://ex.com/\r\nSet-Cookie: a=b"],
    ["https://ex.com", "https://ex.com/\t"],
    ["https://ex.com", "\thttps://ex.com/"],
    ["https://ex.com", "https://\texample/"],
    ["https://ex.com", "javascript:alert(1)"],
    ["https://ex.com", "JaVaScRiPt://ex.com/%0aalert(1)"],
    ["https://ex.com", "java\tscript://ex.com/"],
    ["https://ex.com", "data:text/html,<script>alert(1)</script>"],
    ["https://ex.com", "vbscript:x"],
    ["https://ex.com", "file://ex.com/"],
    ["https://ex.com", "about:blank"],
    ["https://ex.com", "homeassistant://auth-callback"],
    ["http://127.0.0.1:8123", "http://127.0.0.1:8124/"],
    ["http://127.0.0.1", "http://127.1/"],
    ["http://127.0.0.1", "http://localhost/"],
    ["http://8.8.8.8:8123", "http://8.8.8.8/"],
    ["javascript:alert(1)", "javascript:alert(1)"],
    ["data:,x", "data:,x"],
    ["", ""],
    // the list of the apps is exact in both columns
    [ios, wear],
    [ios, wearChina],
    [android, "homeassistant://something-else"],
    [android, "homeassistant://auth-callback/"],
    [android, "HOMEASSISTANT://auth-callback"],
    [android, "homeassistant://auth-callback?x=1"],
    [android, `${wear}/`],
    [android, "https://wear.googleapis.com/3p_auth/another.app"],
    [`${android}/`, "homeassistant://auth-callback"],
    ["https://home-assistant.io/Android", "homeassistant://auth-callback"],
    ["https://home-assistant.io/ios", "homeassistant://auth-callback"],
    ["http://home-assistant.io/iOS", "homeassistant://auth-callback"],
    ["https://incorrect.com", "homeassistant://auth-callback"],
    ["__proto__", "homeassistant://auth-callback"],
  ])("of %j is never %j", (clientId, redirectUri) => {
    expect(verifyRedirectUri(clientId, redirectUri)).toBe(false);
  });
});
