import { type ChildProcess, execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { GatewayClient, type WebSocketConstructor } from "../../src/client/index.ts";
import { makeCertificateFiles } from "../support/certificate.ts";
import { fetchOver } from "../support/fetch-over.ts";
import { ownerPassword, type RunningGateway, startGateway } from "../support/gateway.ts";
import { spawnChild } from "../support/spawn-child.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const samples = path.resolve(import.meta.dirname, "../../.deploy");
/** Another address of this machine than the one that nginx comes from. */
const clientAddress = "127.0.0.2";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilItListens(port: number): Promise<void> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("close", () => socket.destroy());
      socket.once("connect", () => socket.destroy());
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe.each([
  ["nginx.conf", ""],
  ["nginx-path.conf", "/auth-gateway"],
])("the sample configuration %s", (sample, below) => {
  let folder: TemporaryFolder;
  let gateway: RunningGateway;
  let nginx: ChildProcess | undefined;
  let ports: { readonly http: number; readonly https: number };
  let ca: Buffer;

  /** The sample as it is, but for what a machine without its names, ports and files cannot have. */
  function configured(): string {
    const { certificateFile, keyFile } = makeCertificateFiles(folder.path);
    ca = readFileSync(certificateFile);
    const text = readFileSync(path.join(samples, sample), "utf8")
      .replace("listen 80;", `listen 127.0.0.1:${ports.http};`)
      .replace("listen 443 ssl;", `listen 127.0.0.1:${ports.https} ssl;`)
      .replace("/etc/ssl/gatehouse/fullchain.pem", certificateFile)
      .replace("/etc/ssl/gatehouse/privkey.pem", keyFile)
      .replace("server gatehouse-1:8123;", `server 127.0.0.1:${gateway.port};`)
      .replace("server gatehouse-2:8123;", "");
    writeFileSync(path.join(folder.path, "gatehouse.conf"), text);
    const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${folder.path}/${name};`,
    );
    const file = path.join(folder.path, "nginx.conf");
    const head = `daemon off; error_log stderr; pid ${folder.path}/nginx.pid; worker_processes 1;`;
    const http = `access_log off; ${places.join(" ")} include ${folder.path}/gatehouse.conf;`;
    writeFileSync(file, `${head}\nevents {}\nhttp { ${http} }\n`);
    return file;
  }

  beforeAll(async () => {
    folder = temporaryFolder();
    // nginx gives its workers away to another user, who looks into this folder.
    execFileSync("chmod", ["755", folder.path]);
    gateway = await startGateway({
      store: "embedded",
      transport: "ws",
      config: { public_url: `https://gate.example.org${below}`, trusted_proxies: ["127.0.0.1"] },
    });
    ports = { http: await freePort(), https: await freePort() };
    const args = ["-p", folder.path, "-c", configured()];
    const checked = spawnSync("nginx", ["-t", ...args], { encoding: "utf8" });
    expect(checked.stderr).toContain("test is successful");
    nginx = spawnChild("nginx", args, { stdio: "ignore" });
    await within(untilItListens(ports.https), "nginx to listen");
  });
  afterAll(async () => {
    if (nginx !== undefined && nginx.exitCode === null) {
      const ended = new Promise((resolve) => nginx?.once("exit", resolve));
      nginx.kill("SIGTERM");
      await within(ended, "the end of nginx");
    }
    await gateway?.stop();
    folder?.remove();
  });

  it("lets a client log in, work and refresh, and says where it comes from, whatever it claims", async () => {
    class Socket extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        const headers = {
          Host: "gate.example.org",
          Origin: "https://gate.example.org",
          "X-Forwarded-For": "203.0.113.9",
          Forwarded: "for=203.0.113.9",
        };
        super(url, protocols, { ca, headers, localAddress: clientAddress });
      }
    }
    const client = new GatewayClient({
      url: `https://localhost:${ports.https}${below}`,
      WebSocket: Socket as unknown as WebSocketConstructor,
    });
    try {
      const login = await client.login({ handler: ["homeassistant", null] });
      const step = await login.submit({ username: "paula", password: ownerPassword });
      expect(step.type).toBe("create_entry");
      await client.refresh();
      const [session] = await client.call("auth/refresh_tokens");
      expect(session).toMatchObject({ last_used_ip: clientAddress, is_current: true });
    } finally {
      client.close();
    }
  });

  it("passes HTTP on, and keeps metrics and large bodies out", async () => {
    const https = { port: ports.https, tls: { ca, servername: "localhost" } };
    expect((await fetchOver(https, `${below}/readyz`)).status).toBe(200);
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const post = (body: string) =>
      fetchOver(https, `${below}/auth/token`, { method: "POST", headers: form, body });
    const refused = await post("grant_type=refresh_token&refresh_token=none");
    expect({ status: refused.status, body: await refused.json() }).toMatchObject({
      status: 400,
      body: { error: expect.any(String) },
    });
    expect((await post("x".repeat(70_000))).status).toBe(413);
    expect((await fetchOver(https, `${below}/metrics`)).status).toBe(404);
    for (const name of ["oauth-authorization-server", "openid-configuration"]) {
      const metadata = await (await fetchOver(https, `/.well-known/${name}${below}`)).json();
      expect(metadata).toMatchObject({ issuer: `https://gate.example.org${below}` });
    }
    const plain = await fetch(`http://127.0.0.1:${ports.http}/readyz?a=b`, { redirect: "manual" });
    expect(plain.status).toBe(308);
    expect(plain.headers.get("location")).toBe("https://127.0.0.1/readyz?a=b");
  });
});
