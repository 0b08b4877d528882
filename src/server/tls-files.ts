import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";

import { secureContextOptions, type TlsPair } from "../transport/tls.ts";
import { ConfigError } from "./config/problems.ts";
import type { Config } from "./config/schema.ts";

/** The parsed files of a TLS certificate and its key. */
export interface TlsFiles {
  readonly pair: TlsPair;
  /** When the server's own certificate expires, in milliseconds since 1970. */
  readonly endsAt: number;
}

type TlsFile = "tls_cert_file" | "tls_key_file";
export type TlsFileNames = Pick<Config, TlsFile>;

/** Far more than a chain and its key take. */
const maxBytes = 1_048_576;

/**
 * The configured certificate and key, checked to match and to be usable; undefined without TLS. Throws `ConfigError`,
 * which names the option and the file, never their content.
 */
export async function readTlsFiles(config: TlsFileNames): Promise<TlsFiles | undefined> {
  const { tls_cert_file: certificateFile, tls_key_file: keyFile } = config;
  if (certificateFile === null || keyFile === null) return undefined;
  const [certificate, key] = await Promise.all([
    readBounded("tls_cert_file", certificateFile),
    readBounded("tls_key_file", keyFile),
  ]);
  const first = certificateIn(certificate, certificateFile);
  // `createSecureContext` accepts a key of another type than the certificate's, and then every handshake fails.
  if (!first.checkPrivateKey(privateKeyIn(key, keyFile)))
    throw problem("tls_key_file", keyFile, "is not the key of the first certificate in tls_cert_file");
  const pair = { certificate, key };
  assertServable(pair, certificateFile);
  const endsAt = Date.parse(first.validTo);
  if (Number.isNaN(endsAt)) throw problem("tls_cert_file", certificateFile, "has no readable end date");
  return { pair, endsAt };
}

/**
 * A pipe or a device is refused: opening or reading it may block for ever, and the file is read again at each renewal.
 */
async function readBounded(option: TlsFile, file: string): Promise<Buffer> {
  try {
    const about = await stat(file);
    if (!about.isFile()) throw problem(option, file, "is not a regular file");
    if (about.size > maxBytes) throw problem(option, file, "is larger than 1 MiB");
    return await readFile(file);
  } catch (error) {
    throw error instanceof ConfigError ? error : problem(option, file, `cannot be read (${codeOf(error)})`);
  }
}

/** The whole chain must be readable; the first certificate is the server's own. */
function certificateIn(bytes: Buffer, file: string): X509Certificate {
  try {
    createSecureContext({ cert: bytes });
    return new X509Certificate(bytes);
  } catch {
    throw problem("tls_cert_file", file, "is not a certificate or a chain of certificates in PEM form");
  }
}

function privateKeyIn(bytes: Buffer, file: string): KeyObject {
  if (/^-----BEGIN ENCRYPTED|^Proc-Type:.*ENCRYPTED/m.test(bytes.toString("latin1")))
    throw problem("tls_key_file", file, "needs a passphrase: give a key without one");
  try {
    return createPrivateKey({ key: bytes, format: "pem" });
  } catch {
    throw problem("tls_key_file", file, "is not a private key in PEM form");
  }
}

function assertServable(pair: TlsPair, certificateFile: string): void {
  try {
    createSecureContext(secureContextOptions(pair));
  } catch (error) {
    const message = `cannot be used with tls_key_file (${codeOf(error)})`;
    throw problem("tls_cert_file", certificateFile, message);
  }
}

function problem(key: TlsFile, source: string, message: string): ConfigError {
  return new ConfigError([{ key, source, message }]);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
