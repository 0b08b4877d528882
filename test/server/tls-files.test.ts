import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { defineConfig } from "../../src/server/config/load.ts";
import { ConfigError } from "../../src/server/config/problems.ts";
import { createGateway } from "../../src/server/gateway.ts";
import { publicUrlOf } from "../../src/server/public-url.ts";
import { readTlsFiles } from "../../src/server/tls-files.ts";
import { type CertificateFiles, makeCertificateFiles, openssl } from "../support/certificate.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const dayMs = 86_400_000;
let folder: TemporaryFolder;
let own: CertificateFiles;
let other: CertificateFiles;
let at: (name: string) => string;

beforeAll(() => {
  folder = temporaryFolder();
  at = (name) => path.join(folder.path, name);
  own = makeCertificateFiles(folder.path, "own", 30);
  other = makeCertificateFiles(folder.path, "other");
  makeEd25519("ed");
  openssl("x509", "-in", own.certificateFile, "-outform", "der", "-out", at("own.der"));
  const encrypted = ["-passout", "pass:canary-pass", "-in", own.keyFile];
  openssl("pkcs8", "-topk8", ...encrypted, "-out", at("pkcs8.key"));
  openssl("ec", "-aes128", ...encrypted, "-out", at("legacy.key"));
  const certificate = readFileSync(own.certificateFile, "utf8");
  writeFileSync(at("text"), "canary: no PEM\n");
  writeFileSync(at("empty"), "");
  writeFileSync(at("cut.crt"), certificate.slice(0, -60));
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  writeFileSync(at("chain.crt"), certificate + broken);
  writeFileSync(at("cut.key"), readFileSync(own.keyFile, "utf8").slice(0, 120));
  writeFileSync(at("large"), Buffer.alloc(1_048_577, "a"));
  execFileSync("mkfifo", [at("pipe")]);
});
afterAll(() => folder?.remove());

/** A certificate whose key is of another type: OpenSSL accepts it with an EC key until a handshake comes. */
function makeEd25519(name: string): void {
  openssl("genpkey", "-algorithm", "ed25519", "-out", at(`${name}.key`));
  openssl("req", "-x509", "-key", at(`${name}.key`), "-subj", "/CN=ed.test", "-out", at(`${name}.crt`));
}

const read = (certificateFile: string, keyFile: string) =>
  readTlsFiles({ tls_cert_file: certificateFile, tls_key_file: keyFile });

describe("a pair that fits", () => {
  it("is read as it is, with its end", async () => {
    const files = await read(own.certificateFile, own.keyFile);
    expect(files?.pair.certificate).toEqual(readFileSync(own.certificateFile));
    expect(files?.pair.key).toEqual(readFileSync(own.keyFile));
    const left = (files?.endsAt ?? 0) - Date.now();
    expect(left).toBeGreaterThan(29 * dayMs);
    expect(left).toBeLessThanOrEqual(30 * dayMs);
  });

  it("may be a chain, and of Ed25519", async () => {
    const chain = [own, other].map(({ certificateFile }) => readFileSync(certificateFile));
    writeFileSync(at("full.crt"), Buffer.concat(chain));
    expect((await read(at("full.crt"), own.keyFile))?.pair.certificate).toEqual(Buffer.concat(chain));
    expect(await read(at("ed.crt"), at("ed.key"))).toBeDefined();
  });

  it("is undefined without the options", async () => {
    expect(await readTlsFiles({ tls_cert_file: null, tls_key_file: null })).toBeUndefined();
  });
});

const refused: readonly [what: string, certificate: string, key: string, problem: string][] = [
  [
    "a certificate that is not there",
    "none",
    "own.key",
    "tls_cert_file (FOLDER/none): cannot be read (ENOENT)",
  ],
  ["a key that is not there", "own.crt", "none", "tls_key_file (FOLDER/none): cannot be read (ENOENT)"],
  ["a folder", ".", "own.key", "tls_cert_file (FOLDER): is not a regular file"],
  ["a pipe", "own.crt", "pipe", "tls_key_file (FOLDER/pipe): is not a regular file"],
  ["a large file", "own.crt", "large", "tls_key_file (FOLDER/large): is larger than 1 MiB"],
  ["a text", "text", "own.key", "tls_cert_file (FOLDER/text): is not a certificate"],
  ["an empty file", "empty", "own.key", "tls_cert_file (FOLDER/empty): is not a certificate"],
  ["a certificate in DER form", "own.der", "own.key", "tls_cert_file (FOLDER/own.der): is not a certificate"],
  [
    "a certificate that is cut short",
    "cut.crt",
    "own.key",
    "tls_cert_file (FOLDER/cut.crt): is not a certificate",
  ],
  [
    "a chain with a broken end",
    "chain.crt",
    "own.key",
    "tls_cert_file (FOLDER/chain.crt): is not a certificate",
  ],
  [
    "the two in the wrong order",
    "own.key",
    "own.crt",
    "tls_cert_file (FOLDER/own.key): is not a certificate",
  ],
  [
    "a certificate for a key",
    "own.crt",
    "own.crt",
    "tls_key_file (FOLDER/own.crt): is not a private key in PEM",
  ],
  ["a text for a key", "own.crt", "text", "tls_key_file (FOLDER/text): is not a private key in PEM"],
  [
    "a key that is cut short",
    "own.crt",
    "cut.key",
    "tls_key_file (FOLDER/cut.key): is not a private key in PEM",
  ],
  ["a key with a passphrase", "own.crt", "pkcs8.key", "tls_key_file (FOLDER/pkcs8.key): needs a passphrase"],
  ["an old key with one", "own.crt", "legacy.key", "tls_key_file (FOLDER/legacy.key): needs a passphrase"],
  ["another's key", "own.crt", "other.key", "tls_key_file (FOLDER/other.key): is not the key of the first"],
  [
    "a key of another kind",
    "ed.crt",
    "own.key",
    "tls_key_file (FOLDER/own.key): is not the key of the first",
  ],
];

describe("refusals", () => {
  it.each(refused)("%s", async (_, certificate, key, problem) => {
    const reading = read(at(certificate), at(key)).catch((reason: unknown) => reason);
    const error = await within(reading, "the refusal");
    expect(error).toBeInstanceOf(ConfigError);
    const { message } = error as ConfigError;
    expect(message).toContain(problem.replace("FOLDER", folder.path));
    for (const file of [own, other].map(({ keyFile }) => readFileSync(keyFile, "utf8")))
      for (const line of file.split("\n").filter((text) => text.length > 10))
        expect(message).not.toContain(line);
    expect(message).not.toContain("canary");
  });

  it("are those of the gateway, which opens nothing before", async () => {
    const data = at("data");
    const config = defineConfig({
      port: 0,
      data,
      log: { level: "silent" },
      tls_cert_file: own.certificateFile,
      tls_key_file: other.keyFile,
    });
    await expect(createGateway(config)).rejects.toThrow(ConfigError);
    expect(() => readFileSync(path.join(data, "secret.key"))).toThrow("ENOENT");
  });
});

describe("the public URL", () => {
  it.each([
    [{}, "http://127.0.0.1:8123"],
    [{ host: "::" }, "http://[::1]:8123"],
    [{ tls_cert_file: "a", tls_key_file: "b" }, "https://127.0.0.1:8123"],
    [{ tls_cert_file: "a", tls_key_file: "b", host: "auth.example" }, "https://auth.example:8123"],
    [{ tls_cert_file: "a", tls_key_file: "b", public_url: "https://auth.example" }, "https://auth.example"],
    [{ public_url: "https://auth.example/" }, "https://auth.example"],
  ])("of %j is %s", (input, url) => expect(publicUrlOf(defineConfig(input), 8123)).toBe(url));
});
