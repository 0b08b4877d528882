import { connect } from "node:net";

import { SOCKET_PATH } from "../../protocol/features.ts";
import type { Random } from "../chaos/random.ts";
import { loadVectors } from "../protocol/vectors.ts";
import { frame, upgradeText } from "../support/raw-socket.ts";
import { mutated, mutatedBytes } from "./mutations.ts";

export interface Target {
  readonly port: number;
  /** Of an ordinary user, who is an attacker too. */
  readonly accessToken: string;
}

/** One attack on one connection; resolves when the connection is over or had its time. */
export type Attack = (target: Target, random: Random) => Promise<number>;

const vectors = loadVectors().filter(({ direction }) => direction === "client");
const messages = vectors.flatMap(({ json }) => (json === undefined ? [] : [json]));
const frames = vectors.flatMap(({ msgpack }) => (msgpack === undefined ? [] : [Buffer.from(msgpack, "hex")]));
const tokenForm = "grant_type=refresh_token&refresh_token=ghr_1.x&client_id=https%3A%2F%2Fapp.example%2F";
const multipart = ["grant_type", "code", "client_id", "code_verifier"]
  .map((name) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\nx\r\n`)
  .join("");
const form = "application/x-www-form-urlencoded";
const assertionForm = `grant_type=client_credentials&client_assertion=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhcHAifQ.x&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer`;
const authorization =
  "response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=openid&resource=https%3A%2F%2Fa.example%2F";
const manyParts = post(
  "/auth/token",
  "multipart/form-data; boundary=b",
  `${"--b\r\n\r\n\r\n".repeat(6_000)}--b--\r\n`,
);
const requests: readonly string[] = [
  post("/auth/token", form, assertionForm),
  post("/auth/par", `${form}\r\nAuthorization: Basic YXBwOnNlY3JldA==`, authorization),
  post("/auth/device_authorization", form, "client_id=app&scope=openid"),
  post("/auth/introspect", `${form}\r\nAuthorization: Basic JTAwOiUwMA==`, "token=x"),
  post("/auth/token", "application/x-www-form-urlencoded", tokenForm),
  post("/auth/token", "multipart/form-data; boundary=b", `${multipart}--b--\r\n`),
  manyParts,
  post("/auth/revoke", "application/x-www-form-urlencoded", "token=x"),
  post("/api/onboarding/users", "application/json", '{"setup_code":"x","name":"x","username":"x"}'),
  ...[
    "/",
    "/auth/providers",
    "/.well-known/jwks.json",
    "/setup",
    `/auth/authorize?${authorization}`,
    "/auth/authorize?client_id=app&request_uri=urn:ietf:params:oauth:request_uri:x",
    "/device?user_code=BCDF-GHJK",
    "/auth/userinfo",
    "/healthz",
    "/api/?authSig=a.b.c",
    "/%zz",
  ].map((path) => `GET ${path} HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer x\r\n\r\n`),
  upgradeText(SOCKET_PATH, { "X-Forwarded-For": "x, 10.0.0.1", Forwarded: 'for="[::1]"' }),
];

function post(path: string, type: string, body: string): string {
  const length = Buffer.byteLength(body);
  return `POST ${path} HTTP/1.1\r\nHost: gate\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

/** Requests with their bytes changed, several on one connection. */
const http: Attack = (target, random) => {
  const chosen = Array.from({ length: random.between(1, 4) }, () => random.pick(requests));
  const bytes = chosen.map((text) =>
    Buffer.from(random.chance(0.3) ? text : mutated(text, requests, random), "latin1"),
  );
  return exchange(target, bytes, random);
};

/** Messages and frames of strangers. */
const stranger: Attack = (target, random) => exchange(target, [upgrade(random), ...framesOf(random)], random);

/** Messages and frames of somebody who is logged in. */
const member: Attack = (target, random) => {
  const auth = JSON.stringify({ type: "auth", access_token: target.accessToken });
  const bytes = [Buffer.from(upgradeText(SOCKET_PATH)), frame(0x81, auth), ...framesOf(random)];
  return exchange(target, bytes, random);
};

/** One message in very many fragments of a byte or none, of either. */
const fragments: Attack = (target, random) => {
  const auth = frame(0x81, JSON.stringify({ type: "auth", access_token: target.accessToken }));
  const fragment = frame(0x00, random.pick([" ", ""]));
  const many = Array<Buffer>(random.pick([300, 4_000, 60_000])).fill(fragment);
  const message = Buffer.concat([frame(0x01, "["), ...many, frame(0x80, "]")]);
  const before = [Buffer.from(upgradeText(SOCKET_PATH)), ...(random.chance(0.5) ? [auth] : [])];
  return exchange(target, [...before, ...Array<Buffer>(random.between(1, 3)).fill(message)], random);
};

/** Mutated input, from 200 addresses. */
const mutations: readonly Attack[] = [http, stranger, member, fragments];

const manyPartsBytes = Buffer.from(manyParts);
/** Login messages of 3.4 KB that do not fit their schema. */
const loginFrame = jsonFrame({ id: 1, type: "auth/login/step", flow_id: "x", user_input: keys(480) });
/** An administrator's commands with 7,300 keys that they do not have. */
const commandFrames = Array.from({ length: 8 }, (_, n) =>
  jsonFrame({ id: n + 1, type: "gatehouse/revoke", target: keys(7_300) }),
);

/** A form of 65 KB in very many parts, again and again. */
const partsFlood: Attack = (target, random) =>
  exchange(target, Array<Buffer>(6).fill(manyPartsBytes), random, floodFrom);

const loginFlood: Attack = (target, random) => {
  const frames = Array<Buffer>(60).fill(loginFrame);
  return exchange(target, [Buffer.from(upgradeText(SOCKET_PATH)), ...frames], random, floodFrom);
};

/** From somebody who is no administrator. */
const commandFlood: Attack = (target, random) => {
  const auth = jsonFrame({ type: "auth", access_token: target.accessToken });
  return exchange(target, [Buffer.from(upgradeText(SOCKET_PATH)), auth, ...commandFrames], random, floodFrom);
};

const floodFrom = "127.0.1.1";

export const attacks = {
  mutations,
  /** The same expensive input from one address, as fast as it goes. */
  flood: [partsFlood, loginFlood, commandFlood],
} as const satisfies Readonly<Record<string, readonly Attack[]>>;

function jsonFrame(message: object): Buffer {
  return frame(0x81, JSON.stringify(message));
}

function keys(count: number): Readonly<Record<string, number>> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [n.toString(36), 1]));
}

function upgrade(random: Random): Buffer {
  const names = ["gatehouse.v1.json", "gatehouse.v1.msgpack", ", ,", "none"] as const;
  const text = upgradeText(SOCKET_PATH, { "Sec-WebSocket-Protocol": random.pick(names) });
  return Buffer.from(random.chance(0.1) ? mutated(text, requests, random) : text, "latin1");
}

/** Text and binary frames, whole and in pieces, pings, pongs and closes, some with their heads changed. */
function framesOf(random: Random): Buffer[] {
  return Array.from({ length: random.between(1, 40) }, () => {
    const text = random.pick(messages);
    const made = random.pick([
      () => frame(0x81, Buffer.from(mutated(text, messages, random))),
      () => frame(0x81, Buffer.from(text)),
      () => frame(0x82, mutatedBytes(random.pick(frames), random)),
      () => frame(random.pick([0x01, 0x00, 0x80, 0x02]), Buffer.from(text.slice(0, random.between(0, 20)))),
      () => frame(random.pick([0x89, 0x8a, 0x88]), Buffer.alloc(random.between(0, 125), "p")),
    ])();
    return random.chance(0.1) ? mutatedBytes(made, random) : made;
  });
}

/** Writes the pieces, in odd portions at times; gives the bytes that went out. */
function exchange(
  { port }: Target,
  pieces: readonly Buffer[],
  random: Random,
  from = `127.0.1.${random.between(1, 200)}`,
): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: from });
    const timer = setTimeout(() => socket.destroy(), random.between(20, 400));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(socket.bytesWritten);
    });
    socket.resume();
    socket.on("connect", () => {
      for (const piece of pieces) {
        const cut = random.chance(0.2) ? random.between(0, piece.length) : piece.length;
        socket.write(piece.subarray(0, cut));
        if (cut < piece.length) socket.write(piece.subarray(cut));
      }
      if (random.chance(0.2)) socket.end();
    });
  });
}
