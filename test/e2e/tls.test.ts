import { X509Certificate } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import path from "node:path";
import { connect } from "node:tls";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type CertificateFiles, makeCertificateFiles } from "../support/certificate.ts";
import { gatehouse, gatehouseJson, type ServeProcess, serve } from "../support/command-line.ts";
import { ask } from "../support/raw-http.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const password = "correct horse battery";
const stdin = `${password}\n`;
const request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

let folder: TemporaryFolder;
let first: CertificateFiles;
let second: CertificateFiles;
beforeAll(() => {
  folder = temporaryFolder();
  first = makeCertificateFiles(folder.path, "first", 30);
  second = makeCertificateFiles(folder.path, "second", 5);
});
afterAll(() => folder?.remove());

const variables = ({ certificateFile, keyFile }: CertificateFiles) => ({
  GATEHOUSE_TLS_CERT_FILE: certificateFile,
  GATEHOUSE_TLS_KEY_FILE: keyFile,
});

describe("a gateway with TLS", () => {
  let live: CertificateFiles;
  let gateway: ServeProcess;
  let where: string[];
  let accessToken: string;
  let socket: SocketClient;

  beforeAll(async () => {
    const [certificateFile, keyFile] = ["live.crt", "live.key"].map((name) => path.join(folder.path, name));
    live = { certificateFile: certificateFile ?? "", keyFile: keyFile ?? "" };
    put(first);
    where = ["--data", path.join(folder.path, "data")];
    gateway = await serve(where, { env: variables(live) });
  });
  afterAll(async () => {
    socket?.terminate();
    await gateway?.kill("SIGKILL");
  });

  const put = ({ certificateFile, keyFile }: CertificateFiles) => {
    copyFileSync(certificateFile, live.certificateFile);
    copyFileSync(keyFile, live.keyFile);
  };
  const certificate = (files: CertificateFiles) => readFileSync(files.certificateFile);

  it("prints https, for people who set it up too, and warns of nothing", () => {
    expect(gateway.url).toBe(`https://127.0.0.1:${gateway.port}`);
    expect(gateway.setupLink).toMatch(new RegExp(`^https://127\\.0\\.0\\.1:${gateway.port}/setup#code=.`));
    expect(recordsOf(gateway).filter(({ level }) => level !== "info")).toEqual([]);
  });

  it("lets people log in over wss; the issuer of their tokens is https", async () => {
    const add = ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin", ...where];
    // A command beside the gateway needs the configuration, not the right to read the key.
    const env = variables({ certificateFile: "/none", keyFile: "/none" });
    expect(await gatehouse(add, { stdin, env })).toMatchObject({ code: 0, stderr: "" });
    const login = ["login", gateway.url, "--username", "paula", "--password-stdin"];
    const grant = await gatehouseJson<{ access_token: string }>(login, {
      stdin,
      env: { NODE_EXTRA_CA_CERTS: live.certificateFile },
    });
    accessToken = grant.access_token;
    expect(decodeJwt(accessToken).iss).toBe(gateway.url);
    socket = await openSocket(gateway.port, { ca: certificate(first) });
    expect(await socket.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    expect(await socket.call("auth/current_user")).toMatchObject({ success: true });
  });

  it("is not believed by a client that trusts another certificate", async () => {
    await expect(openSocket(gateway.port, { ca: certificate(second) })).rejects.toThrow(/self-signed/);
    const stranger = ["login", gateway.url, "--username", "paula", "--password-stdin"];
    expect(await gatehouse(stranger, { stdin })).toMatchObject({ code: 1, stdout: "" });
  });

  it("answers nothing in the clear, and goes on", async () => {
    const raw = await RawSocket.connect(gateway.port);
    raw.write(request);
    await raw.end();
    expect(raw.text).not.toContain("HTTP");
    raw.destroy();
    await expect(openSocket(gateway.port)).rejects.toThrow();
    const tls = { ca: certificate(first) };
    expect(await ask({ port: gateway.port, tls }, request)).toMatchObject({ status: 200 });
    expect(recordsOf(gateway).filter(({ level }) => level === "error")).toEqual([]);
  });

  it("keeps its certificate at SIGHUP when the files do not fit, and says why without the key", async () => {
    copyFileSync(second.keyFile, live.keyFile);
    process.kill(gateway.pid, "SIGHUP");
    const record = await logged(gateway, "not renewed");
    expect(record).toMatchObject({ level: "error", problem: expect.stringContaining("tls_key_file") });
    expect(await fingerprint(gateway.port)).toBe(fingerprintOf(first));
    expect(await socket.call("auth/current_user")).toMatchObject({ success: true });
  });

  it("serves the new certificate after SIGHUP, warns of its end, and open sockets go on", async () => {
    put(second);
    process.kill(gateway.pid, "SIGHUP");
    expect(await logged(gateway, "certificate renewed")).toMatchObject({ level: "info" });
    expect(await logged(gateway, "expires within 14 days")).toMatchObject({
      level: "warn",
      ends: expect.any(String),
    });
    expect(await fingerprint(gateway.port)).toBe(fingerprintOf(second));
    expect(await socket.call("auth/current_user")).toMatchObject({ success: true });
    const fresh = await openSocket(gateway.port, { ca: certificate(second) });
    expect(await fresh.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    fresh.terminate();
    await expect(openSocket(gateway.port, { ca: certificate(first) })).rejects.toThrow(/self-signed/);
  });

  it("drains on SIGTERM, and nothing that it printed was a secret", async () => {
    expect(await gateway.kill("SIGTERM")).toBe(0);
    expect(await socket.closed).toMatchObject({ code: 1001 });
    const printed = gateway.output.stdout + gateway.output.stderr;
    expect(printed).not.toContain("PRIVATE KEY");
    for (const { keyFile } of [first, second])
      for (const line of readFileSync(keyFile, "utf8")
        .split("\n")
        .filter((text) => text.length > 20))
        expect(printed).not.toContain(line);
  });
});

describe("mistakes with TLS", () => {
  const data = () => ["--data", path.join(folder.path, "refused")];
  const files = (cert: string, key: string) => ({
    GATEHOUSE_TLS_CERT_FILE: path.join(folder.path, cert),
    GATEHOUSE_TLS_KEY_FILE: path.join(folder.path, key),
  });
  const only = (name: string): Record<string, string> => ({ [name]: first.certificateFile });

  it.each([
    [
      "a certificate alone",
      [],
      () => only("GATEHOUSE_TLS_CERT_FILE"),
      "tls_cert_file (GATEHOUSE_TLS_CERT_FILE)",
    ],
    ["a key alone", [], () => only("GATEHOUSE_TLS_KEY_FILE"), "tls_key_file (GATEHOUSE_TLS_KEY_FILE)"],
    [
      "a file that is missing",
      [],
      () => files("none.crt", "first.key"),
      "none.crt): cannot be read (ENOENT)",
    ],
    ["another's key", [], () => files("first.crt", "second.key"), "second.key): is not the key of"],
    [
      "uws",
      ["--transport", "uws"],
      () => files("first.crt", "first.key"),
      "transport (--transport): is not supported on uws",
    ],
  ] as const)(
    "serve and check refuse %s alike, in one line that names the option",
    async (_, more, env, text) => {
      for (const command of ["serve", "check"]) {
        const { code, stdout, stderr } = await gatehouse([command, ...more, ...data()], { env: env() });
        expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
        expect(stderr).toContain(text);
        expect(stderr.trimEnd().split("\n")).toHaveLength(1);
      }
    },
  );
});

it("check takes a pair that fits and shows where it is", async () => {
  const { code, stdout } = await gatehouse(["check"], { env: variables(first) });
  expect(code).toBe(0);
  expect(stdout).toContain(`tls_cert_file: ${first.certificateFile}`);
});

it("a gateway that others reach without TLS warns once", async () => {
  const open = await serve(["--host", "0.0.0.0", "--data", path.join(folder.path, "open")]);
  try {
    process.kill(open.pid, "SIGHUP");
    await logged(open, "there is no TLS certificate to renew");
    expect(await open.kill("SIGTERM")).toBe(0);
    expect(open.output.stderr.split("passwords and tokens cross the network unencrypted")).toHaveLength(2);
  } finally {
    await open.kill("SIGKILL");
  }
});

interface LogRecord {
  readonly level: string;
  readonly msg: string;
}

function recordsOf({ output }: ServeProcess): LogRecord[] {
  const lines = output.stderr.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
  return lines.map((line) => JSON.parse(line) as LogRecord);
}

/** The first record, past or to come, whose message has this text. */
async function logged(gateway: ServeProcess, text: string): Promise<LogRecord> {
  let given = false;
  const search = async (): Promise<LogRecord> => {
    for (;;) {
      const record = recordsOf(gateway).find(({ msg }) => msg.includes(text));
      if (record !== undefined) return record;
      if (given) throw new Error("too late");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return await within(search(), `"${text}" in the log`).finally(() => {
    given = true;
  });
}

function fingerprintOf({ certificateFile }: CertificateFiles): string {
  return new X509Certificate(readFileSync(certificateFile)).fingerprint256;
}

/** Of the certificate that new connections see. */
async function fingerprint(port: number): Promise<string> {
  const client = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  try {
    return await within(
      new Promise<string>((resolve, reject) => {
        client.once("secureConnect", () => resolve(client.getPeerCertificate().fingerprint256));
        client.once("error", reject);
      }),
      "a handshake",
    );
  } finally {
    client.destroy();
  }
}
