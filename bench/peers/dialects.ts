import { createPrivateKey, sign } from "node:crypto";
import type { Dialect } from "../load/dialects.ts";

const json = JSON.stringify;

/** Engine.IO's `open` packet, then the namespace's CONNECT with the token, as its client does. */
const socketIo: Dialect = {
  path: "/socket.io/?EIO=4&transport=websocket",
  exchange: [{ until: '0{"sid":' }, { send: (token) => `40${json({ token })}`, until: '40{"sid":' }],
};

/** A client that has a token sends it in the handshake: one round trip. */
const socketCluster: Dialect = {
  path: "/socketcluster/",
  exchange: [
    {
      send: (token) => json({ event: "#handshake", data: { authToken: token }, cid: 1 }),
      until: '"isAuthenticated":true',
    },
  ],
};

/** A client that gets its token later: `socket.authenticate(token)` after an anonymous handshake. */
const socketClusterAuthenticate: Dialect = {
  path: "/socketcluster/",
  exchange: [
    { send: () => json({ event: "#handshake", data: { authToken: null }, cid: 1 }), until: '"rid":1' },
    {
      send: (token) => json({ event: "#authenticate", data: token, cid: 2 }),
      until: '"isAuthenticated":true',
    },
  ],
};

const graphqlWs: Dialect = {
  path: "/graphql",
  subprotocol: "graphql-transport-ws",
  exchange: [
    { send: (token) => json({ type: "connection_init", payload: { token } }), until: '"connection_ack"' },
  ],
};

/** Connects anonymously to Socket.IO first, then calls the service with an acknowledgement. */
const feathers: Dialect = {
  path: "/socket.io/?EIO=4&transport=websocket",
  exchange: [
    { until: '0{"sid":' },
    { send: () => "40", until: '40{"sid":' },
    {
      send: (token) =>
        `420${json(["create", "authentication", { strategy: "jwt", accessToken: token }, {}])}`,
      until: '430[null,{"accessToken":',
    },
  ],
};

/** Its client's `CONNECT` and first `PING`, in one frame. */
const natsConnect = (fields: object) =>
  `CONNECT ${json({ verbose: false, pedantic: false, protocol: 1, lang: "bench", version: "1", headers: true, ...fields })}\r\nPING\r\n`;

const natsToken: Dialect = {
  path: "/",
  binary: true,
  exchange: [{ until: "INFO {" }, { send: (token) => natsConnect({ auth_token: token }), until: "PONG\r\n" }],
};

/** The user signs the nonce of the server's INFO with the key that its JWT names. */
const natsJwt: Dialect = {
  path: "/",
  binary: true,
  exchange: [
    { until: "INFO {" },
    {
      reply: (credential, last) => {
        const [jwt = "", seed = ""] = credential.split(" ");
        const { nonce = "" } = JSON.parse(/INFO (\{.*\})/.exec(last)?.[1] ?? "{}") as { nonce?: string };
        return natsConnect({ jwt, sig: signed(nonce, seed) });
      },
      until: "PONG\r\n",
    },
  ],
};

const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** The prefix of an Ed25519 key in PKCS #8 (RFC 8410). */
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** A seed of nkeys is base32 of 2 bytes of prefix, the key's 32 bytes and a checksum. */
function signed(nonce: string, seed: string): string {
  let bits = "";
  for (const character of seed) bits += base32.indexOf(character).toString(2).padStart(5, "0");
  const bytes = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8, bytes.subarray(2, 34)]),
    format: "der",
    type: "pkcs8",
  });
  return sign(null, Buffer.from(nonce), key).toString("base64url");
}

/** MQTT 3.1.1's CONNECT (section 3.1), with the longest time between two messages of a client, and CONNACK with return code 0. */
const mqtt: Dialect = {
  path: "/mqtt",
  subprotocol: "mqtt",
  binary: true,
  exchange: [
    {
      send: (credential) => {
        const [name = "", password = ""] = credential.split(" ");
        const field = (text: string) => String.fromCharCode(text.length >> 8, text.length & 255) + text;
        const payload = `${field("")}${field(name)}${field(password)}`;
        const body = `${field("MQTT")}\u0004\u00c2\u00ff\u00ff${payload}`;
        const length = String.fromCharCode((body.length & 127) | 128, body.length >> 7);
        return `\u0010${length}${body}`;
      },
      until: "\u0020\u0002\u0000\u0000",
    },
  ],
};

/** By the name of the server's file. A second dialect of the same server has the server's name as prefix. */
export const dialects: Readonly<Record<string, Dialect>> = {
  "socket-io": socketIo,
  socketcluster: socketCluster,
  "socketcluster-authenticate": socketClusterAuthenticate,
  "graphql-ws": graphqlWs,
  feathers,
  nats: natsToken,
  "nats-jwt": natsJwt,
  mosquitto: mqtt,
};
