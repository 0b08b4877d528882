import { type CloseName, closeCodes, closeRule } from "../../protocol/close-codes.ts";
import type { CommandType, Params, Result } from "../../protocol/commands/index.ts";
import { features, SOCKET_PATH } from "../../protocol/features.ts";
import type { Handler, RefreshGrant, SessionGrant } from "../../protocol/flow.ts";
import type { Codec } from "../codec/codec.ts";
import { createJsonCodec } from "../codec/json.ts";
import { type Backoff, createBackoff } from "./backoff.ts";
import { GatewayError } from "./errors.ts";
import { LoginFlow } from "./login-flow.ts";
import {
  asLoginRequired,
  authenticate,
  errorOfClose,
  grantedTokens,
  refreshedTokens,
  untilAuthenticated,
  withDeadline,
} from "./phase.ts";
import { createMemoryTokenStore, type StoredTokens, type TokenStore } from "./token-store.ts";
import { type CloseInfo, openWire, type WebSocketConstructor, type Wire } from "./wire.ts";

/**
 * - `idle`: not connected, nothing under way
 * - `connecting`: opening a socket and authenticating it; also while waiting for the next try
 * - `ready`: authenticated
 * - `ended`: over until `connect` or `login` is called; `endedBy` says why
 */
export type ClientState = "idle" | "connecting" | "ready" | "ended";

export interface GatewayClientOptions {
  /** The gateway's base address, `http(s)://` or `ws(s)://`, for instance `https://auth.example.org`. */
  readonly url: string;
  /** Default: in memory. */
  readonly tokens?: TokenStore;
  /** The OAuth client id that the tokens belong to, where they belong to one. */
  readonly clientId?: string;
  /** Default: JSON. `createMsgpackCodec()` of `gatehouse/client` is the other one. */
  readonly codec?: Codec;
  /** Default: the global one. Node 20 has none: pass the `ws` package's. */
  readonly WebSocket?: WebSocketConstructor;
  /** Deadline of connecting and of every call. Default 10 s. */
  readonly timeoutMs?: number;
  /** Reconnecting waits between 0 and a ceiling that doubles from `baseMs` to `capMs`. Default 500 ms to 30 s. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
  /** Every change of state; `error` on `ended`, and on `connecting` after a loss. */
  readonly onState?: (state: ClientState, error?: GatewayError) => void;
}

type CallParams<T extends CommandType> = Omit<Params<T>, "id" | "type">;

interface Subscription {
  readonly message: Readonly<Record<string, unknown>>;
  readonly onEvent: (event: unknown) => void;
  wireId: number;
}

/** A client that stays: authenticated, refreshed before expiry, back after a loss as the close code allows. */
export class GatewayClient {
  readonly #options: GatewayClientOptions;
  readonly #tokens: TokenStore;
  readonly #codec: Codec;
  readonly #timeoutMs: number;
  readonly #backoff: Backoff;
  readonly #subscriptions = new Set<Subscription>();
  #state: ClientState = "idle";
  #wire: Wire | undefined;
  /** The socket of a login or of a try that is under way. */
  #opening: Wire | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #refreshing: Promise<void> | undefined;
  #connecting: Promise<void> | undefined;
  #refreshFirst = false;

  constructor(options: GatewayClientOptions) {
    this.#options = options;
    this.#tokens = options.tokens ?? createMemoryTokenStore();
    this.#codec = options.codec ?? createJsonCodec();
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#backoff = createBackoff(options.backoff ?? { baseMs: 500, capMs: 30_000 });
  }

  get state(): ClientState {
    return this.#state;
  }

  /**
   * Connects with the stored tokens; resolves when authenticated. Rejects, without further tries, with
   * `login_required`, `refused` or `cannot_connect`. Once it has resolved, losses are repaired in the background.
   */
  async connect(): Promise<void> {
    if (this.#state === "ready") return;
    this.#connecting ??= this.#connectOnce().finally(() => {
      this.#connecting = undefined;
    });
    await this.#connecting;
  }

  /**
   * Starts a login on a new socket. With `for: "session"` (the default) the last `submit` leaves this client `ready`.
   */
  async login(request: CallParams<"auth/login/start"> & { readonly handler: Handler }): Promise<LoginFlow> {
    this.#leave();
    const clientId = request.client_id ?? this.#options.clientId;
    return await LoginFlow.start(
      {
        timeoutMs: this.#timeoutMs,
        wire: () => this.#open(),
        expectAuthOk: (wire) => untilAuthenticated(wire),
        granted: (wire, grant, authenticated) => this.#granted(wire, grant, authenticated),
      },
      clientId === undefined ? request : { ...request, client_id: clientId },
    );
  }

  /** One command. Rejects with the server's error code, `call_timeout`, `connection_lost` or `not_connected`. */
  async call<T extends CommandType>(type: T, params?: CallParams<T>): Promise<Result<T>> {
    return (await this.#readyWire().request({ ...params, type }, this.#timeoutMs).result) as Result<T>;
  }

  /** A command with events. It is sent again after every reconnect. Resolves to the function that ends it. */
  async subscribe(
    message: { readonly type: CommandType } & Readonly<Record<string, unknown>>,
    onEvent: (event: unknown) => void,
  ): Promise<() => Promise<void>> {
    const subscription: Subscription = { message, onEvent, wireId: 0 };
    await this.#subscribeOn(this.#readyWire(), subscription);
    this.#subscriptions.add(subscription);
    return async () => {
      this.#subscriptions.delete(subscription);
      this.#wire?.forget(subscription.wireId);
      if (this.#state === "ready")
        await this.call("unsubscribe_events", { subscription: subscription.wireId });
    };
  }

  /** New tokens in band; several calls at once are one. Rejects with `login_required` when the session is over. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#refreshOnce().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  /** Ends the session on the server, forgets the tokens and closes. */
  async logout(): Promise<void> {
    const sessions = await this.call("auth/refresh_tokens");
    const current = sessions.find((session) => session.is_current);
    await this.#tokens.save(null);
    if (current)
      await this.call("auth/delete_refresh_token", { refresh_token_id: current.id }).catch(ignoreLoss);
    this.close();
  }

  /** Closes for good; tokens stay. */
  close(): void {
    this.#leave();
    this.#enter("idle");
  }

  async #connectOnce(): Promise<void> {
    this.#leave();
    this.#enter("connecting");
    try {
      await this.#attempt();
    } catch (error) {
      throw await this.#over(asGatewayError(error));
    }
  }

  /** One try: open, authenticate, negotiate, subscribe again. */
  async #attempt(): Promise<void> {
    const wire = await this.#open();
    try {
      const tokens = await authenticate(wire, this.#phase(), this.#refreshFirst);
      await this.#becomeReady(wire, tokens);
    } catch (error) {
      wire.close();
      // The server found the token expired although our clock did not: come back with the refresh token.
      if (isExpired(error) && !this.#refreshFirst) {
        this.#refreshFirst = true;
        return await this.#attempt();
      }
      throw error;
    }
  }

  async #becomeReady(wire: Wire, tokens: StoredTokens): Promise<void> {
    this.#wire = wire;
    this.#opening = undefined;
    this.#refreshFirst = false;
    wire.onMessage = (message) => {
      if (message.type === "auth_expiring") this.refresh().catch(() => {});
    };
    const wanted: Record<string, number> = { [features.coalesce_messages]: 1 };
    if (tokens.refreshToken !== null) wanted[features.auth_expiring] = 1;
    await wire.request({ type: "supported_features", features: wanted }, this.#timeoutMs).result;
    for (const subscription of this.#subscriptions) await this.#subscribeOn(wire, subscription);
    this.#backoff.reset();
    this.#enter("ready");
    wire.closed.then(
      (close) => this.#lost(wire, close),
      () => {},
    );
  }

  async #subscribeOn(wire: Wire, subscription: Subscription): Promise<void> {
    const request = wire.request(subscription.message, this.#timeoutMs, subscription.onEvent);
    subscription.wireId = request.id;
    await request.result;
  }

  async #granted(wire: Wire, grant: SessionGrant, authenticated: Promise<void>): Promise<void> {
    const tokens = grantedTokens(grant, Date.now());
    await this.#tokens.save(tokens);
    await withDeadline(authenticated, wire, this.#timeoutMs);
    await this.#becomeReady(wire, tokens);
  }

  async #refreshOnce(): Promise<void> {
    const stored = await this.#tokens.load();
    if (stored?.refreshToken == null) throw new GatewayError("login_required", "There is no refresh token");
    const grant: RefreshGrant = await this.call("auth/refresh", { refresh_token: stored.refreshToken }).catch(
      (error) => {
        throw asLoginRequired(error);
      },
    );
    await this.#tokens.save(refreshedTokens(stored, grant, Date.now()));
  }

  /** The ready socket closed: what follows is the close code's rule. */
  #lost(wire: Wire, close: CloseInfo): void {
    if (this.#wire !== wire) return;
    this.#wire = undefined;
    const rule = closeRule(close.code);
    const error = errorOfClose(close);
    if (rule.reconnect === "never") {
      this.#over(error).catch(() => {});
      return;
    }
    this.#refreshFirst = rule.need === "refresh";
    this.#enter("connecting", error);
    this.#schedule(rule.reconnect === "now" ? 0 : this.#backoff.next());
  }

  #schedule(delayMs: number): void {
    this.#retry = setTimeout(() => {
      this.#attempt().catch((error) => this.#failed(asGatewayError(error)));
    }, delayMs);
  }

  async #failed(error: GatewayError): Promise<void> {
    if (this.#state !== "connecting") return;
    if (error.code === "login_required" || error.code === "refused") {
      await this.#over(error);
      return;
    }
    this.#schedule(this.#backoff.next());
  }

  /** Nothing more is tried. Tokens that the server refuses for good are forgotten. */
  async #over(error: GatewayError): Promise<GatewayError> {
    this.#leave();
    this.#enter("ended", error);
    if (error.code === "login_required") await this.#tokens.save(null);
    return error;
  }

  #leave(): void {
    clearTimeout(this.#retry);
    const wires = [this.#wire, this.#opening];
    this.#wire = undefined;
    this.#opening = undefined;
    for (const wire of wires) wire?.close();
  }

  #enter(state: ClientState, error?: GatewayError): void {
    if (this.#state === state && error === undefined) return;
    this.#state = state;
    this.#options.onState?.(state, error);
  }

  #readyWire(): Wire {
    if (this.#wire === undefined)
      throw new GatewayError("not_connected", "Not connected: call connect() first");
    return this.#wire;
  }

  #phase() {
    const { clientId } = this.#options;
    return { tokens: this.#tokens, clientId, timeoutMs: this.#timeoutMs, now: Date.now };
  }

  async #open(): Promise<Wire> {
    this.#opening?.close();
    const url = socketUrl(this.#options.url);
    const WebSocket = socketOf(this.#options);
    const wire = await openWire({ url, codec: this.#codec, WebSocket, timeoutMs: this.#timeoutMs });
    this.#opening = wire;
    return wire;
  }
}

/** The socket's address under a base address. Query and fragment are dropped: nothing secret belongs there. */
export function socketUrl(base: string): string {
  const url = new URL(base);
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(url.protocol)) throw new TypeError("url must be http(s):// or ws(s)://");
  if (!url.pathname.endsWith(SOCKET_PATH)) url.pathname = url.pathname.replace(/\/$/, "") + SOCKET_PATH;
  url.search = "";
  url.hash = "";
  return url.href;
}

function socketOf(options: GatewayClientOptions): WebSocketConstructor {
  const found = options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
  if (found === undefined) {
    throw new TypeError(
      'This runtime has no WebSocket: pass one, for instance `import { WebSocket } from "ws"`',
    );
  }
  return found;
}

function isExpired(error: unknown): boolean {
  const expired: CloseName = "token_expired";
  return error instanceof GatewayError && error.close?.code === closeCodes[expired].number;
}

function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError("cannot_connect", error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}

/** The answer to ending one's own session may be lost with the socket that it ends. */
function ignoreLoss(error: unknown): void {
  if (error instanceof GatewayError && error.code === "connection_lost") return;
  throw error;
}
