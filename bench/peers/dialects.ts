import type { Dialect } from "../load/dialects.ts";

const json = JSON.stringify;

/** Engine.IO's `open` packet, then the namespace's CONNECT with the token, as its client does. */
const socketIo: Dialect = {
  path: "/socket.io/?EIO=4&transport=websocket",
  exchange: [{ until: '0{"sid":' }, { send: (token) => `40${json({ token })}`, until: '40{"sid":' }],
};

/** A client that has a token hands it over in the handshake: one round trip. */
const socketCluster: Dialect = {
  path: "/socketcluster/",
  exchange: [
    {
      send: (token) => json({ event: "#handshake", data: { authToken: token }, cid: 1 }),
      until: '"isAuthenticated":true',
    },
  ],
};

/** A client that got its token later: `socket.authenticate(token)` after an anonymous handshake. */
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

/** Anonymous on Socket.IO first, then the call of the service with an acknowledgement. */
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

/** By the name of the server's file; a second way to talk to the same server has the server's name in front. */
export const dialects: Readonly<Record<string, Dialect>> = {
  "socket-io": socketIo,
  socketcluster: socketCluster,
  "socketcluster-authenticate": socketClusterAuthenticate,
  "graphql-ws": graphqlWs,
  feathers,
};
