import { createLog } from "../../src/observability/log.ts";
import { type RunningGateway, setUpOwner, startNode } from "./gateway.ts";
import { type HostileOpenIdProvider, startHostileOpenIdProvider } from "./hostile-openid-provider.ts";
import { freePort } from "./openid-provider.ts";
import { type Message, openSocket, type SocketClient, type SocketClientOptions } from "./socket-client.ts";

export interface Waiting {
  readonly socket: SocketClient;
  /** Where the browser begins. */
  readonly url: string;
}

/** A gateway with the OpenID providers p1, p2 and so on, whose new users are active. */
export interface OidcRig extends Omit<RunningGateway, "owner" | "ownerPassword"> {
  /** p1. */
  readonly provider: HostileOpenIdProvider;
  readonly providers: readonly HostileOpenIdProvider[];
  /** Lines of the log. */
  readonly lines: readonly string[];
  /** Audit records of this kind. */
  audited(name: string): readonly Message[];
  open(options?: SocketClientOptions): Promise<SocketClient>;
  /** Starts a login of p1. */
  begin(fields?: object, options?: SocketClientOptions): Promise<Waiting>;
  /** The error of a start that is refused. */
  refusedStart(): Promise<Message>;
  pushed(waiting: Waiting): Promise<Message>;
  authenticated(waiting: Waiting): Promise<Message>;
  /** For the next test: its providers answer right, and what came so far is forgotten. */
  reset(): void;
}

export interface OidcRigOptions {
  /** Called before the gateway starts. */
  readonly prepare?: (provider: HostileOpenIdProvider) => void;
  /** Options of each entry. */
  readonly entry?: object;
  readonly count?: number;
}

export async function startOidcRig(options: OidcRigOptions = {}): Promise<OidcRig> {
  const { prepare = () => undefined, entry = {}, count = 2 } = options;
  const providers = await Promise.all(Array.from({ length: count }, startHostileOpenIdProvider));
  const [provider] = providers;
  if (provider === undefined) throw new RangeError("a rig without a provider");
  providers.forEach(prepare);
  const lines: string[] = [];
  const port = await freePort();
  const entries = providers.map(({ issuer, clientId, clientSecret }, place) => ({
    type: "oidc" as const,
    id: `p${place + 1}`,
    issuer,
    client_id: clientId,
    client_secret: clientSecret,
    new_users: { activate: true },
    ...entry,
  }));
  const node = await startNode(
    {
      port,
      public_url: `http://127.0.0.1:${port}`,
      auth_providers: [{ type: "homeassistant" }, ...entries],
    },
    { log: createLog({ level: "debug", sink: { write: (line: string) => void lines.push(line) } }) },
  );
  await setUpOwner(node.authority);
  const sockets: SocketClient[] = [];
  const open = async (socketOptions?: SocketClientOptions) => {
    const socket = await openSocket(port, socketOptions);
    sockets.push(socket);
    return socket;
  };
  const start = async (fields: object, socketOptions?: SocketClientOptions) => {
    const socket = await open(socketOptions);
    return { socket, answer: await socket.call("auth/login/start", { handler: ["oidc", "p1"], ...fields }) };
  };
  return {
    ...node,
    provider,
    providers,
    lines,
    open,
    audited: (name) => lines.map((line) => JSON.parse(line) as Message).filter(({ audit }) => audit === name),
    async begin(fields = {}, socketOptions) {
      const { socket, answer } = await start(fields, socketOptions);
      return { socket, url: (answer.result as { readonly url: string }).url };
    },
    refusedStart: async () => (await start({})).answer.error as Message,
    pushed: ({ socket }) => socket.find(({ type }) => type === "event", "the pushed step"),
    authenticated: ({ socket }) => socket.find(({ type }) => type === "auth_ok", "auth_ok"),
    reset() {
      lines.length = 0;
      for (const each of providers) each.reset();
    },
    async stop() {
      for (const socket of sockets) socket.close();
      await node.stop();
      for (const each of providers) await each.stop();
    },
  };
}
