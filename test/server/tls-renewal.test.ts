import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";

import { createTlsRenewal } from "../../src/server/tls-renewal.ts";
import type { TlsPair } from "../../src/transport/tls.ts";
import type { Listener } from "../../src/transport/transport.ts";
import { type CertificateFiles, makeCertificateFiles } from "../support/certificate.ts";
import { Events } from "../support/events.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

let folder: TemporaryFolder;
let live: CertificateFiles;
let pairs: readonly CertificateFiles[];
let logged: { readonly level: string; readonly fields: object; readonly message: string }[];
let served: TlsPair[];

beforeEach(() => {
  folder = temporaryFolder();
  live = { certificateFile: path.join(folder.path, "live.crt"), keyFile: path.join(folder.path, "live.key") };
  pairs = ["first", "second"].map((name) => makeCertificateFiles(folder.path, name, 30));
  [logged, served] = [[], []];
  put(0);
});
afterEach(() => folder.remove());

function put(which: number): void {
  const { certificateFile = "", keyFile = "" } = pairs[which] ?? {};
  copyFileSync(certificateFile, live.certificateFile);
  copyFileSync(keyFile, live.keyFile);
}

const note = (level: string) => (fields: object, message: string) => {
  logged.push({ level, fields, message });
};
const listening: Listener = {
  port: 0,
  sockets: 0,
  renewTls: (pair) => void served.push(pair),
  stopAccepting: () => undefined,
  close: async () => undefined,
};

function renewal(listener: () => Promise<Listener | undefined> = async () => listening, tls = true) {
  return createTlsRenewal({
    config: tls
      ? { tls_cert_file: live.certificateFile, tls_key_file: live.keyFile }
      : { tls_cert_file: null, tls_key_file: null },
    clock: { now: Date.now, monotonic: () => performance.now() },
    log: {
      debug: note("debug"),
      info: note("info"),
      warn: note("warn"),
      error: note("error"),
      flush: () => Promise.resolve(true),
    },
    listener,
  });
}

const certificates = () => served.map(({ certificate }) => String(certificate));
const certificateOf = (which: number) => readFileSync(pairs[which]?.certificateFile ?? "", "utf8");

it("serves what the files hold at that time, and reports when it ends", async () => {
  const renew = renewal();
  await renew();
  put(1);
  await renew();
  expect(certificates()).toEqual([certificateOf(0), certificateOf(1)]);
  expect(logged.map(({ level, message }) => `${level} ${message}`)).toEqual(
    Array(2).fill("info TLS certificate renewed"),
  );
});

it("never replaces a newer pair by an older one", async () => {
  const asked = new Events<(listener: Listener) => void>("the listener to be asked for");
  const renew = renewal(() => new Promise((resolve) => asked.push(resolve)));
  const older = renew();
  const serveOlder = await asked.next();
  put(1);
  const newer = renew();
  // A renewal that did not wait for the previous one would overtake it here.
  const overtaking = await Promise.race([asked.next(), delay(200)]).catch(() => undefined);
  overtaking?.(listening);
  serveOlder(listening);
  await older;
  if (overtaking === undefined) await asked.next().then((serve) => serve(listening));
  await newer;
  expect(certificates()).toEqual([certificateOf(0), certificateOf(1)]);
});

it("logs an unusable pair without its content, and continues with the next one", async () => {
  const renew = renewal();
  const key = readFileSync(pairs[1]?.keyFile ?? "");
  writeFileSync(live.keyFile, key);
  await renew();
  expect(served).toEqual([]);
  expect(logged).toMatchObject([{ level: "error", message: expect.stringContaining("stays in use") }]);
  expect(JSON.stringify(logged)).toContain("tls_key_file");
  expect(JSON.stringify(logged)).not.toContain(key.toString().split("\n")[1]);
  put(1);
  await renew();
  expect(certificates()).toEqual([certificateOf(1)]);
});

it("survives a listener that refuses", async () => {
  const broken = new Error("no");
  const renew = renewal(async () => ({
    ...listening,
    renewTls() {
      throw broken;
    },
  }));
  await renew();
  expect(logged).toMatchObject([{ level: "error", fields: { err: broken } }]);
});

it("does nothing without a listener, and logs that without TLS", async () => {
  await renewal(async () => undefined)();
  expect(logged).toEqual([]);
  await renewal(undefined, false)();
  expect(logged).toMatchObject([{ level: "info", message: "there is no TLS certificate to renew" }]);
  expect(served).toEqual([]);
});
