// Gatehouse itself as it comes, metrics and audit records included, with an owner. Arguments: transport, and what is to be
// configured otherwise, as JSON of `gatehouse.yaml`'s shape.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { defineConfig } from "../../src/server/config/load.ts";
import { createGateway } from "../../src/server/gateway.ts";
import { answer } from "../support/answering.ts";

export interface OpenedSession {
  readonly id: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

const [, , transport, otherwise = "{}"] = process.argv;
const data = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-"));
process.on("exit", () => rmSync(data, { recursive: true, force: true }));
const gateway = await createGateway(
  defineConfig({
    port: 0,
    data,
    transport: transport === "uws" ? "uws" : "ws",
    password: { scrypt_n: 1024, workers: 1 },
    limits: { unauthenticated_per_address: 100_000, unauthenticated: 100_000 },
    ...(JSON.parse(otherwise) as object),
  }),
);
const { port } = await gateway.start();
const { authority } = gateway;
const owner = await authority.onboarding.createOwner({
  setupCode: await authority.onboarding.setupCode(),
  name: "Owner",
  username: "owner",
  password: "correct horse battery",
});
const found = await authority.users.read(owner.id);
if (found === undefined) throw new Error("the owner is gone");
const standing = { user: found.user, userVersion: found.version, userEpoch: found.epoch };
const open = (rotates = false) =>
  authority.sessions.open({
    ...standing,
    credential: null,
    clientId: null,
    clientName: null,
    rotates,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now(),
    peer: { address: "127.0.0.1" },
  });

/** Sessions of their own, as logins open them. */
async function sessions({ n, rotates }: { n: number; rotates?: boolean }): Promise<OpenedSession[]> {
  const opened: OpenedSession[] = [];
  while (opened.length < n) {
    const size = Math.min(100, n - opened.length);
    const batch = await Promise.all(Array.from({ length: size }, () => open(rotates)));
    opened.push(
      ...batch.map(({ accessToken, refreshToken, session: { id } }) => ({ accessToken, refreshToken, id })),
    );
  }
  return opened;
}

/** Each of a session of its own. */
async function mint({ n }: { n: number }): Promise<string[]> {
  return (await sessions({ n })).map(({ accessToken }) => accessToken);
}

const { version } = JSON.parse(readFileSync(path.resolve("package.json"), "utf8")) as { version: string };
answer({ port, version }, { mint, sessions });
