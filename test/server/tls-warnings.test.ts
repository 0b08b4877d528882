import { describe, expect, it } from "vitest";

import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { warnOfCertificateEnd, warnOfCleartext } from "../../src/server/tls-warnings.ts";

const now = Date.UTC(2026, 10, 25);
const dayMs = 86_400_000;

function warned(warn: (log: { warn(fields: object, message: string): void }) => void): string[] {
  const messages: string[] = [];
  warn({ warn: (fields, message) => messages.push(`${message} ${JSON.stringify(fields)}`) });
  return messages;
}

describe("the end of a certificate", () => {
  const endingIn = (ms: number) => warned((log) => warnOfCertificateEnd(log, now + ms, now));

  it("is not logged 14 days ahead and more", () => {
    expect(endingIn(14 * dayMs + 1)).toEqual([]);
    expect(endingIn(90 * dayMs)).toEqual([]);
  });

  it("is logged within 14 days, with its time", () => {
    const warning = 'the TLS certificate expires within 14 days {"ends":"2026-12-09T00:00:00.000Z"}';
    expect(endingIn(14 * dayMs)).toEqual([warning]);
    expect(endingIn(1)).toHaveLength(1);
  });

  it("is logged as expired once it has passed", () => {
    expect(endingIn(0)).toEqual([
      'the TLS certificate has expired: clients refuse it {"ends":"2026-11-25T00:00:00.000Z"}',
    ]);
  });
});

describe("listening without TLS", () => {
  const listening = (input: ConfigInput) => warned((log) => warnOfCleartext(log, defineConfig(input)));

  it.each([
    "0.0.0.0",
    "::",
    "192.168.1.7",
    "fe80::1%eth0",
    "auth.example",
    "localhost.example",
    "::ffff:10.0.0.1",
  ])("on %s warns once, and names the options", (host) => {
    const [warning, ...more] = listening({ host });
    expect(more).toEqual([]);
    expect(warning).toContain(host);
    for (const text of [
      "passwords and tokens",
      "tls_cert_file",
      "tls_key_file",
      "trusted_proxies",
      "public_url",
    ])
      expect(warning).toContain(text);
    expect(listening({ host, public_url: "http://auth.example" })).toHaveLength(1);
  });

  it.each(["127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost", "LOCALHOST"])(
    "on %s does not warn",
    (host) => expect(listening({ host })).toEqual([]),
  );

  it("does not warn if TLS ends in front of it", () => {
    const host = "0.0.0.0";
    expect(listening({ host, trusted_proxies: ["10.0.0.1"] })).toEqual([]);
    expect(listening({ host, public_url: "https://auth.example" })).toEqual([]);
  });
});
