// Gatehouse itself as it comes, metrics and audit records included, with an owner. Argument: transport.
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { defineConfig } from "../../src/server/config/load.ts";
import { createGateway } from "../../src/server/gateway.ts";
import { answer, collectGarbage } from "../support/answering.ts";

const [, , transport] = process.argv;
const data = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-"));
const gateway = await createGateway(
  defineConfig({
    port: 0,
    data,
    transport: transport === "uws" ? "uws" : "ws",
    password: { scrypt_n: 1024, workers: 1 },
    limits: { unauthenticated_per_address: 100_000, unauthenticated: 100_000 },
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
const open = () =>
  authority.sessions.open({
    ...standing,
    credential: null,
    clientId: null,
    clientName: null,
    rotates: false,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now(),
    peer: { address: "127.0.0.1" },
  });

/** Each of a session of its own. */
async function mint({ n }: { n: number }): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < n) {
    const batch = await Promise.all(Array.from({ length: Math.min(100, n - tokens.length) }, open));
    tokens.push(...batch.map(({ accessToken }) => accessToken));
  }
  return tokens;
}

const { version } = JSON.parse(readFileSync(path.resolve("package.json"), "utf8")) as { version: string };
answer({ port, version }, { mint, settle: collectGarbage });
