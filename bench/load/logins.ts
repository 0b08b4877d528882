// The load generator for password logins: each on a socket of its own, step by step, until `auth_ok`. A password is sent in the
// form, or proved. A client computes scrypt once for each salt here: its CPU is not the server's.
import { createHash, createHmac, randomBytes, scryptSync } from "node:crypto";

import { answer } from "../support/answering.ts";
import { type Latencies, latencies } from "../support/figures.ts";
import { RawSocket, textFrame } from "./raw-socket.ts";

export interface Accounts {
  readonly port: number;
  /** Logins take them in turn. */
  readonly usernames: readonly string[];
  readonly password: string;
  readonly by: "form" | "proof";
}

export interface LoginsJob extends Accounts {
  readonly count: number;
  readonly inFlight: number;
}

/** Arrivals at a fixed rate, whatever the server does. */
export interface ArrivalsJob extends Accounts {
  readonly perSecond: number;
  readonly seconds: number;
}

export interface Arrived extends Latencies {
  readonly failed: number;
  /** From the first arrival to the last `auth_ok`. */
  readonly seconds: number;
}

interface Step {
  readonly type: string;
  readonly flow_id: string;
  readonly server_final?: string;
  readonly description_placeholders?: { readonly server_first?: string } | null;
}

interface Message {
  readonly id?: number;
  readonly type: string;
  readonly success?: boolean;
  readonly result?: Step;
}

const START = { id: 1, type: "auth/login/start", handler: ["homeassistant", null] };
let opened = 0;

/** What a login says: in the start, and in answer to the step after it. */
interface Way {
  readonly start: object;
  answer(step: Step): object;
  /** Whether the server has proved that it knows the password. */
  trusts(step: Step): boolean;
}

const byForm = (username: string, password: string): Way => ({
  start: {},
  answer: () => ({ username, password }),
  trusts: () => true,
});

const keys = new Map<string, { readonly client: Buffer; readonly server: Buffer }>();
const mac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();

function keysFor(password: string, attributes: ReadonlyMap<string, string>) {
  const [salt = "", N = "", r = "", p = ""] = ["s", "i", "b", "l"].map((name) => attributes.get(name));
  const id = [password, salt, N, r, p].join();
  const known = keys.get(id);
  if (known !== undefined) return known;
  const cost = { N: Number(N), r: Number(r), p: Number(p), maxmem: 2 ** 31 };
  const salted = scryptSync(password, Buffer.from(salt, "base64"), 32, cost);
  const made = { client: mac(salted, "Client Key"), server: mac(salted, "Server Key") };
  keys.set(id, made);
  return made;
}

function byProof(username: string, password: string): Way {
  const nonce = randomBytes(18).toString("base64");
  const bare = `n=${username},r=${nonce}`;
  let expected = "";
  return {
    start: { mechanism: "SCRAM-SCRYPT", initial_response: `n,,${bare}` },
    answer({ description_placeholders: shown }) {
      const first = shown?.server_first ?? "";
      const attributes = new Map(first.split(",").map((part) => [part.charAt(0), part.slice(2)]));
      const { client, server } = keysFor(password, attributes);
      const withoutProof = `c=biws,r=${attributes.get("r")}`;
      const signed = `${bare},${first},${withoutProof}`;
      const signature = mac(createHash("sha256").update(client).digest(), signed);
      const proof = client.map((byte, place) => byte ^ (signature[place] ?? 0));
      expected = `v=${mac(server, signed).toString("base64")}`;
      return { client_final: `${withoutProof},p=${Buffer.from(proof).toString("base64")}` };
    },
    trusts: ({ server_final }) => server_final === expected,
  };
}

/** Resolves at `auth_ok`; then the socket is dropped. */
function login(port: number, way: Way): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new RawSocket({ port, path: "/api/websocket" }, opened++);
    const fail = (what: string) => {
      socket.destroy();
      reject(new Error(what));
    };
    socket.onOpen = () => socket.send(textFrame(JSON.stringify({ ...START, ...way.start })));
    socket.onClose = (code, fault) => fail(`closed with ${fault ?? code} before auth_ok`);
    socket.onText = (text) => {
      const message = JSON.parse(text) as Message;
      const { result: step } = message;
      if (message.type === "auth_ok") {
        socket.destroy();
        resolve();
      } else if (message.success === false) {
        fail(`refused: ${text.slice(0, 300)}`);
      } else if (message.id === 1 && step?.type === "form") {
        const { flow_id } = step;
        const next = { id: 2, type: "auth/login/step", flow_id, user_input: way.answer(step) };
        socket.send(textFrame(JSON.stringify(next)));
      } else if (message.id === 2 && (step?.type !== "create_entry" || !way.trusts(step))) {
        fail(`no session: ${text.slice(0, 300)}`);
      }
    };
  });
}

function wayOf({ usernames, password, by }: Accounts, nth: number): Way {
  const username = usernames[nth % usernames.length] ?? "";
  return by === "form" ? byForm(username, password) : byProof(username, password);
}

async function logins(job: LoginsJob) {
  const took: number[] = [];
  let next = 0;
  const started = performance.now();
  const worker = async () => {
    while (next < job.count) {
      const way = wayOf(job, next++);
      const from = performance.now();
      await login(job.port, way);
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: job.inFlight }, worker));
  return { seconds: (performance.now() - started) / 1000, latencies: latencies(took) };
}

/** Each latency counts from when its arrival was due. */
async function arrivals(job: ArrivalsJob): Promise<Arrived> {
  const took: number[] = [];
  const open: Promise<void>[] = [];
  let failed = 0;
  const started = performance.now();
  for (let nth = 0; nth < job.perSecond * job.seconds; nth += 1) {
    const due = started + (nth * 1000) / job.perSecond;
    while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 1));
    const done = login(job.port, wayOf(job, nth)).then(
      () => {
        took.push(performance.now() - due);
      },
      () => {
        failed += 1;
      },
    );
    open.push(done);
  }
  await Promise.all(open);
  return { ...latencies(took), failed, seconds: (performance.now() - started) / 1000 };
}

answer({ port: 0, version: "" }, { logins, arrivals });
