import type { Authentication } from "../../src/auth/authentication.ts";
import type { User } from "../../src/auth/model.ts";
import type { RevocationView } from "../../src/auth/revocation/view.ts";
import { createJsonCodec } from "../../src/codec/json.ts";
import { createMsgpackCodec } from "../../src/codec/msgpack.ts";
import { createDispatch } from "../../src/commands/registry.ts";
import {
  type ConnectionLimits,
  type Connections,
  createConnections,
} from "../../src/connection/connections.ts";
import { createTimerWheel } from "../../src/connection/timer-wheel.ts";
import { LocalPresenceDirectory } from "../../src/presence/local-directory.ts";
import { NodePresence } from "../../src/presence/presence.ts";
import { loadTransport } from "../../src/server/transports.ts";
import type { Topics } from "../../src/topics/topics.ts";
import { startAuthority, type TestAuthority, type TestAuthorityOptions } from "./authority.ts";
import { quietLog, quietObserver } from "./quiet-log.ts";
import { openSocket, type SocketClient, type SocketClientOptions } from "./socket-client.ts";
import { testTopics } from "./topics.ts";

export interface SocketGateway extends TestAuthority {
  readonly port: number;
  readonly connections: Connections;
  readonly topics: Topics;
  /** Log entries of level warning and error. */
  readonly logged: readonly { readonly fields: object; readonly message: string }[];
  /** Advances the clock and fires the timers that are due. */
  wind(ms: number): void;
  connect(options?: SocketClientOptions): Promise<SocketClient>;
  /** A socket of a new session of `user`, after `auth_ok`. */
  enter(user: User, options?: SocketClientOptions): Promise<Entered>;
}

export interface Entered {
  readonly client: SocketClient;
  readonly sessionId: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

export interface SocketGatewayOptions {
  /** Default: ws. */
  readonly transport?: "ws" | "uws";
  readonly limits?: Partial<ConnectionLimits>;
  readonly authority?: TestAuthorityOptions;
  /** Wraps the authentication that the sockets use. */
  readonly authentication?: (real: Authentication) => Authentication;
  readonly topics?: (node: TestAuthority) => Topics;
  /** Wraps the revocation view that the sockets use. */
  readonly view?: (real: RevocationView) => RevocationView;
  /** If it returns false, revocations do not reach the sockets, as on a node that is partitioned. */
  readonly hears?: () => boolean;
  /** The address that a request counts as. Loopback itself is local. */
  readonly addressOf?: (header: (name: string) => string | undefined) => string | undefined;
}

/** Real sockets on a real Authority and an embedded store, with a manually advanced clock. */
export async function startSocketGateway(options: SocketGatewayOptions = {}): Promise<SocketGateway> {
  const node = await startAuthority(options.authority);
  const { authority, clock } = node;
  const { view } = authority.revocation;
  const topics = options.topics?.(node) ?? testTopics(node);
  const logged: { readonly fields: object; readonly message: string }[] = [];
  const note = (fields: object, message: string) => logged.push({ fields, message });
  const wheel = createTimerWheel({ clock, onError: (error) => note({ err: error }, "timer") });
  const { node: nodeId } = authority.revocation;
  const directory = new LocalPresenceDirectory({ node: nodeId, hub: () => connections.hub });
  const presence = new NodePresence({ directory, node: nodeId, members: () => connections.hub.members() });
  const connections: Connections = createConnections({
    authority: {
      ...authority,
      authentication: options.authentication?.(authority.authentication) ?? authority.authentication,
      revocation: { ...authority.revocation, view: options.view?.(view) ?? view },
    },
    codecs: [createJsonCodec(), createMsgpackCodec()],
    dispatch: createDispatch(authority, { presence, topics }),
    presence,
    clock,
    log: { ...quietLog, warn: note, error: note },
    metrics: quietObserver,
    wheel,
    addressOf: (request) => options.addressOf?.((name) => request.header(name)) ?? request.address,
    limits: options.limits,
  });
  authority.revocation.onSecurityEvent((cut) =>
    options.hears?.() === false ? 0 : connections.hub.apply(cut),
  );
  const transport = await loadTransport(options.transport ?? "ws", (error) =>
    note({ err: error }, "transport"),
  );
  const listener = await transport.listen({
    host: "127.0.0.1",
    port: 0,
    socketPath: "/api/websocket",
    checkUpgrade: connections.checkUpgrade,
    http: async () => ({ status: 404, headers: {}, body: "" }),
    maxMessageBytes: 65_536,
    maxBodyBytes: 65_536,
  });
  const connect = (more?: SocketClientOptions) => openSocket(listener.port, more);
  return {
    ...node,
    port: listener.port,
    connections,
    topics,
    logged,
    connect,
    wind(ms) {
      clock.advance(ms);
      wheel.turn();
    },
    async enter(user, more) {
      const { session, accessToken, refreshToken } = await node.open(user.id);
      const client = await connect(more);
      const answer = await client.authenticate(accessToken);
      if (answer.type !== "auth_ok") throw new Error(`refused: ${JSON.stringify(answer)}`);
      return { client, sessionId: session.id, accessToken, refreshToken };
    },
    async stop() {
      connections.close();
      await listener.close(0);
      await topics.close();
      await node.stop();
    },
  };
}
