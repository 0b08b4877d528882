// nats-server's WebSocket listener: one token for all, or a JWT for each user with a signature of the server's nonce.
// Argument: jwt.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { encodeAccount, encodeOperator, encodeUser } from "@nats-io/jwt";
import { createAccount, createOperator, createUser } from "@nats-io/nkeys";
import { answer } from "../support/answering.ts";
import type { Mint } from "../support/minting.ts";
import { freePort, scratchFolder, startProgram, versionOf } from "./own-program.ts";

const withJwt = process.argv.includes("jwt");
const version = versionOf("nats-server", ["--version"], /v?(\d\S+)/);
const [port, clients] = [await freePort(), await freePort()];
const folder = scratchFolder("nats");
const secret = "t".repeat(730);

const operator = createOperator();
const account = createAccount();

/** No limits: a JWT without this member allows nothing. */
const limits = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
};

async function authentication(): Promise<string> {
  if (!withJwt) return `authorization { token: "${secret}" }`;
  const operatorJwt: string = await encodeOperator("bench", operator);
  const accountJwt: string = await encodeAccount("bench", account, { limits }, { signer: operator });
  return [
    `operator: ${operatorJwt}`,
    "resolver: MEMORY",
    `resolver_preload: { ${account.getPublicKey()}: ${accountJwt} }`,
  ].join("\n");
}

const file = path.join(folder, "nats.conf");
const listening = `host: 127.0.0.1\nport: ${clients}\nwebsocket { host: "127.0.0.1", port: ${port}, no_tls: true }`;
writeFileSync(file, `${listening}\n${await authentication()}\n`);
const program = await startProgram("nats-server", ["-c", file], port);

/** The user's JWT and the seed that signs the nonce, or the one token. */
async function credential(n: number): Promise<string> {
  if (!withJwt) return secret;
  const user = createUser();
  const jwt: string = await encodeUser(`user-${n}`, user, account, {});
  return `${jwt} ${new TextDecoder().decode(user.getSeed())}`;
}

/** Creating a user takes tens of milliseconds. The server keeps none, so they can be reused. */
const pool: Promise<string>[] = [];
const most = withJwt ? 64 : 1;
let turn = 0;
function next(): Promise<string> {
  const at = turn++ % most;
  pool[at] ??= credential(at);
  return pool[at];
}

answer(
  { port, version, server: program.pid ?? 0 },
  {
    mint: ({ n }: Mint) => Promise.all(Array.from({ length: n }, next)),
    settle: () => undefined,
    // Its event loop cannot be asked, so wait long enough for the clients that left.
    quiet: () => new Promise((resolve) => setTimeout(resolve, 20)),
  },
);
