import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import type { TlsPair } from "../../src/transport/tls.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Creates a self-signed certificate for `127.0.0.1` and `localhost` in `folder`. */
export function makeCertificateFiles(folder: string, name = "gate", days = 2): CertificateFiles {
  const certificateFile = path.join(folder, `${name}.crt`);
  const keyFile = path.join(folder, `${name}.key`);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", keyFile];
  const names = ["-subj", `/CN=${name}.test`, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  openssl("req", "-x509", ...key, "-out", certificateFile, "-days", String(days), ...names);
  return { certificateFile, keyFile };
}

/** The same in memory; no files are left behind. */
export function makeCertificate(name?: string): TlsPair {
  const folder = temporaryFolder();
  try {
    const { certificateFile, keyFile } = makeCertificateFiles(folder.path, name);
    return { certificate: readFileSync(certificateFile), key: readFileSync(keyFile) };
  } finally {
    folder.remove();
  }
}

/** Throws with the program's output if it fails. */
export function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
