import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { Client } from "ldapts";

import { makeCertificateFiles } from "./certificate.ts";
import { eventually, Hopeless } from "./eventually.ts";
import { spawnChild } from "./spawn-child.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export const suffix = "dc=example,dc=test";
export const admin = { dn: `cn=admin,${suffix}`, password: "canary-admin-secret" } as const;

/** A real slapd with the overlay memberof, for `dc=example,dc=test`, in a folder of its own. */
export interface LdapServer {
  readonly url: string;
  readonly secureUrl: string;
  /** PEM file of the self-signed certificate for 127.0.0.1 and localhost. */
  readonly caFile: string;
  add(dn: string, attributes: Readonly<Record<string, string | string[]>>): Promise<void>;
  /** A person `uid=NAME,ou=people,...` with a password. */
  addPerson(uid: string, password: string, more?: Readonly<Record<string, string>>): Promise<string>;
  /** Does something as the administrator. */
  asAdmin<T>(work: (client: Client) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

export interface LdapServerOptions {
  /** Further lines for the whole server. */
  readonly config?: readonly string[];
  /** Further lines for the database. */
  readonly database?: readonly string[];
}

/** Another process may take one of the free ports first. */
export async function startLdap(options: LdapServerOptions = {}): Promise<LdapServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startOnce(options);
    } catch (error) {
      if (tries === 3 || !(error instanceof Hopeless)) throw error;
    }
  }
}

async function startOnce(options: LdapServerOptions): Promise<LdapServer> {
  const folder = temporaryFolder();
  const { certificateFile, keyFile } = makeCertificateFiles(folder.path, "ldap");
  mkdirSync(path.join(folder.path, "db"));
  const [port, securePort] = [await freePort(), await freePort()];
  const [url, secureUrl] = [`ldap://127.0.0.1:${port}`, `ldaps://127.0.0.1:${securePort}`];
  const lines = [
    ...["core", "cosine", "inetorgperson"].map((name) => `include /etc/ldap/schema/${name}.schema`),
    "modulepath /usr/lib/ldap",
    "moduleload back_mdb",
    "moduleload memberof",
    `pidfile ${path.join(folder.path, "pid")}`,
    `TLSCertificateFile ${certificateFile}`,
    `TLSCertificateKeyFile ${keyFile}`,
    ...(options.config ?? []),
    "database mdb",
    `suffix "${suffix}"`,
    `rootdn "${admin.dn}"`,
    `rootpw ${admin.password}`,
    `directory ${path.join(folder.path, "db")}`,
    "overlay memberof",
    ...(options.database ?? []),
  ];
  const file = path.join(folder.path, "slapd.conf");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const child = spawnChild("slapd", ["-d", "0", "-f", file, "-h", `${url} ${secureUrl}`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaint = "";
  child.stderr?.on("data", (chunk) => {
    complaint += String(chunk);
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const dispose = async () => {
    child.kill("SIGKILL");
    await ended;
    folder.remove();
  };
  const asAdmin: LdapServer["asAdmin"] = async (work) => {
    const client = new Client({ url: secureUrl, timeout: 30_000, tlsOptions: { rejectUnauthorized: false } });
    try {
      await client.bind(admin.dn, admin.password);
      return await work(client);
    } finally {
      await client.unbind();
    }
  };
  const add: LdapServer["add"] = (dn, attributes) => asAdmin((client) => client.add(dn, { ...attributes }));
  try {
    await eventually("slapd", async () => {
      if (child.exitCode !== null) throw new Hopeless(`slapd ended: ${complaint}`);
      await asAdmin(async () => undefined);
      return true;
    });
    await add(suffix, { objectClass: ["dcObject", "organization"], dc: "example", o: "Example" });
    for (const ou of ["people", "groups"])
      await add(`ou=${ou},${suffix}`, { objectClass: "organizationalUnit", ou });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    url,
    secureUrl,
    caFile: certificateFile,
    add,
    asAdmin,
    async addPerson(uid, password, more = {}) {
      const dn = `uid=${uid.replaceAll(/[^A-Za-z0-9\u0080-\uffff]/g, (c) => `\\${c.charCodeAt(0).toString(16).padStart(2, "0")}`)},ou=people,${suffix}`;
      const person = { objectClass: "inetOrgPerson", uid, cn: uid, sn: uid, userPassword: password, ...more };
      await add(dn, person);
      return dn;
    },
    dispose,
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
