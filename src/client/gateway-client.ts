import type { CommandType, Result } from "../../protocol/commands/index.ts";
import type { Handler, SessionGrant } from "../../protocol/flow.ts";
import type { Codec } from "../codec/codec.ts";
import { createJsonCodec } from "../codec/json.ts";
import { authenticate, grantedTokens, refreshOnSocket, untilAuthenticated } from "./authenticate.ts";
import type { CallArguments, CallParams, ClientState, GatewayClientOptions } from "./client-options.ts";
import { webSocketOf } from "./default-websocket.ts";
import { type DeviceLogin, startDevice } from "./device-login.ts";
import { createMemoryDeviceTokenStore, type DeviceTokenStore } from "./device-store.ts";
import {
  attemptError,
  type CloseInfo,
  errorOfClose,
  GatewayError,
  ignoreLoss,
  invokeCallback,
  isExpired,
} from "./errors.ts";
import { LoginFlow, type LoginHost } from "./login-flow.ts";
import { MessageSocket, type WebSocketConstructor } from "./message-socket.ts";
import { negotiate } from "./negotiate.ts";
import { type Backoff, createBackoff, reconnectionAfter } from "./reconnect-rule.ts";
import { newRun, type Run, replaced } from "./run.ts";
import { socketUrl } from "./socket-address.ts";
import { subjectOf } from "./subject.ts";
import { type SubscriptionEnd, Subscriptions, type WantedEvents } from "./subscriptions.ts";
import { createMemoryTokenStore, forgetTokens, type TokenStore } from "./token-store.ts";
import { TopicFeed, type TopicMessage, TopicMessages, type TopicOptions } from "./topics.ts";

/**
 * A client that stays connected. It authenticates, refreshes before expiry, and reconnects after a loss if the close
 * code allows it.
 */
export class GatewayClient {
  readonly #options: GatewayClientOptions;
  readonly #tokens: TokenStore;
  readonly #device: DeviceTokenStore;
  readonly #codec: Codec;
  readonly #timeoutMs: number;
  readonly #backoffLimits: { readonly baseMs: number; readonly capMs: number };
  readonly #backoff: Backoff;
  readonly #subscriptions: Subscriptions;
  #state: ClientState = "idle";
  /** Set while the state is `ended`. */
  #endedBy: GatewayError | undefined;
  #run: Run = newRun();
  #connecting: Promise<void> | undefined;

  constructor(options: GatewayClientOptions) {
    this.#options = options;
    this.#tokens = options.tokens ?? createMemoryTokenStore();
    this.#device = options.device ?? createMemoryDeviceTokenStore();
    this.#codec = options.codec ?? createJsonCodec();
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#backoffLimits = options.backoff ?? { baseMs: 500, capMs: 30_000 };
    this.#backoff = createBackoff(this.#backoffLimits);
    this.#subscriptions = new Subscriptions(this.#timeoutMs);
  }

  get state(): ClientState {
    return this.#state;
  }

  get #authenticated(): boolean {
    return this.#state === "ready" || this.#state === "suspended";
  }

  /**
   * Connects with the stored tokens; resolves once authenticated. Rejects and stops trying with `login_required`,
   * `refused` or `cannot_connect`, or with `not_connected` if `close` or `login` was called meanwhile. After it has
   * resolved, the client reconnects in the background.
   */
  async connect(): Promise<void> {
    if (this.#authenticated) return;
    this.#connecting ??= this.#connectOnce(this.#begin("connecting"));
    await this.#connecting;
  }

  /**
   * The ways to log in from here, in the order in which to show them, and whether the gateway still needs an owner. Asks
   * on a socket of its own, so that the client's state stays as it is. Rejects with `cannot_connect` or the server's code.
   */
  async providers(): Promise<Result<"auth/providers">> {
    const socket = this.#newSocket(await webSocketOf(this.#options));
    try {
      await socket.opened;
      const { result } = socket.request({ type: "auth/providers" }, this.#timeoutMs);
      return (await result) as Result<"auth/providers">;
    } finally {
      socket.close();
    }
  }

  /**
   * Starts a login on a new socket and ends the client's current run. With `for: "session"` (the default) the last
   * `submit` leaves this client `ready`. An earlier unfinished login is cancelled.
   */
  async login(request: CallParams<"auth/login/start"> & { readonly handler: Handler }): Promise<LoginFlow> {
    const clientId = request.client_id ?? this.#options.clientId;
    const known = clientId === undefined ? request : { ...request, client_id: clientId };
    return await LoginFlow.start(this.#loginHost(), known);
  }

  /**
   * For a device without a keyboard: shows a code, and logs in as whoever types it elsewhere and approves. Ends the
   * client's current run. `clientId` is a registered client with the device grant. Rejects with the server's code.
   */
  async startDevice(request: { readonly scope?: string } = {}): Promise<DeviceLogin> {
    return await startDevice(this.#loginHost(), { client_id: this.#options.clientId ?? "", ...request });
  }

  #loginHost(): LoginHost {
    const run = this.#begin("idle");
    return {
      ...this.#loginParts,
      messages: "auth/login",
      open: () => this.#open(run),
      release: (socket) => socket.close(),
      granted: (socket, grant) => this.#granted(run, socket, grant),
    };
  }

  get #loginParts() {
    return {
      timeoutMs: this.#timeoutMs,
      backoff: this.#backoffLimits,
      device: this.#device,
      proofs: { scram: this.#options.scram ?? "prefer", scrypt: this.#options.scrypt } as const,
      tokens: this.#tokens,
    };
  }

  /**
   * Creates the owner of a gateway that has none, with the set-up code that it printed. The client is `ready` as that user
   * then. Ends the client's current run. Rejects with the server's code.
   */
  async createOwner(owner: CallParams<"auth/onboarding/create_owner">): Promise<void> {
    const run = this.#begin("idle");
    const { clientId } = this.#options;
    const socket = await this.#open(run);
    const type = "auth/onboarding/create_owner";
    const message = clientId === undefined ? { ...owner, type } : { client_id: clientId, ...owner, type };
    try {
      const answer = (await socket.request(message, this.#timeoutMs).result) as Result<typeof type>;
      await this.#granted(run, socket, answer.session);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** One command; see `onStepUp`. Rejects with the server's code, `call_timeout`, `connection_lost`, `not_connected`, and what ended the client. */
  async call<T extends CommandType>(type: T, ...[params]: CallArguments<T>): Promise<Result<T>> {
    return (await this.#readySocket().request({ ...params, type }, this.#timeoutMs).result) as Result<T>;
  }

  /**
   * Messages of all topics that the pattern stands for, in their order, while the user may read them. Resolves to the
   * function that ends it. On a new socket it goes on where it was; what is lost is told to `onGap`. Rejects with
   * `unauthorized` if the user may read none of the topics.
   */
  async subscribe<Data = unknown>(
    pattern: string,
    onMessage: (message: TopicMessage<Data>) => void,
    options: TopicOptions = {},
  ): Promise<() => Promise<void>> {
    return await this.#follow(new TopicFeed(pattern, onMessage, options));
  }

  /**
   * The same as an iterator, which subscribes with its first `next`. Throws what ended the subscription, unless this
   * client was closed.
   */
  messages<Data = unknown>(pattern: string, options: TopicOptions = {}): TopicMessages<Data> {
    return new TopicMessages<Data>((onMessage, more) => this.subscribe(pattern, onMessage, more), options);
  }

  /**
   * Sends a message that is answered with events; resolves to the function that ends it. What the protocol declares a
   * subscription (`subscribe_events`) is sent again after a reconnect while the same user is logged in. Any other
   * command, such as `gatehouse/revoke` with `subscribe`, is carried out once and ends with its socket. `onEnd` is
   * called if it ends by itself: the server refused it, the socket of such a command was lost, or `close`, `logout` or
   * `login` was called.
   */
  async listen(
    message: { readonly type: CommandType } & Readonly<Record<string, unknown>>,
    onEvent: (event: unknown) => void,
    onEnd: SubscriptionEnd = () => {},
  ): Promise<() => Promise<void>> {
    return await this.#follow({
      message: () => message,
      onEvent: (event) => invokeCallback(onEvent, event),
      onEnd: (error) => invokeCallback(onEnd, error),
    });
  }

  async #follow(wanted: WantedEvents): Promise<() => Promise<void>> {
    const subject = subjectOf(this.#run.tokens?.accessToken);
    return await this.#subscriptions.add(this.#readySocket(), subject, wanted);
  }

  /**
   * Gets new tokens on the open socket. Concurrent calls share one request. Rejects with `login_required` if the
   * session has ended.
   */
  async refresh(): Promise<void> {
    const run = this.#run;
    run.refreshing ??= this.#refreshOnce(run, this.#readySocket()).finally(() => {
      run.refreshing = undefined;
    });
    await run.refreshing;
  }

  /** Ends the session on the server, forgets the tokens and closes. If it rejects, the client is unchanged. */
  async logout(): Promise<void> {
    const run = this.#run;
    const sessions = await this.call("auth/refresh_tokens");
    const current = sessions.find((session) => session.is_current);
    run.leaving = true;
    try {
      if (current)
        await this.call("auth/delete_refresh_token", { refresh_token_id: current.id }).catch(ignoreLoss);
    } catch (error) {
      run.leaving = false;
      throw error;
    }
    await this.#tokens.save(null);
    if (run === this.#run) this.close();
  }

  /** Closes for good. The tokens are kept. */
  close(): void {
    this.#begin("idle");
  }

  /** Ends the current run and starts a new one. */
  #begin(state: ClientState, error?: GatewayError): Run {
    const { socket, retry } = this.#run;
    const run = newRun();
    this.#run = run;
    this.#connecting = undefined;
    this.#backoff.reset();
    clearTimeout(retry);
    socket?.close();
    this.#enter(state, error);
    this.#subscriptions.endAll(error ?? replaced());
    return run;
  }

  #requirePresent(run: Run): void {
    if (run !== this.#run) throw replaced();
  }

  async #connectOnce(run: Run): Promise<void> {
    try {
      await this.#attempt(run);
    } catch (error) {
      this.#requirePresent(run);
      throw await this.#stopTrying(run, attemptError(error));
    } finally {
      if (run === this.#run) this.#connecting = undefined;
    }
  }

  /** One attempt: open, authenticate, negotiate features, subscribe again. */
  async #attempt(run: Run): Promise<void> {
    const stored = await this.#tokens.load();
    if (stored === null) throw new GatewayError("login_required", "There are no tokens: log in first");
    run.tokens = stored;
    const socket = await this.#open(run);
    try {
      run.tokens = await authenticate(socket, stored, this.#authPhase(run));
      await this.#becomeReady(run, socket);
    } catch (error) {
      socket.close();
      if (!isExpired(error) || run.refreshFirst) throw error;
      // The server found the token expired although it is valid by our clock.
      if (stored.refreshToken === null)
        throw new GatewayError("login_required", "The access token has expired", { cause: error });
      run.refreshFirst = true;
      await this.#attempt(run);
    }
  }

  #authPhase({ refreshFirst }: Run) {
    const { clientId } = this.#options;
    return { tokens: this.#tokens, clientId, timeoutMs: this.#timeoutMs, now: Date.now, refreshFirst };
  }

  async #open(run: Run): Promise<MessageSocket> {
    this.#requirePresent(run);
    run.socket?.close();
    const WebSocket = await webSocketOf(this.#options);
    this.#requirePresent(run);
    const socket = this.#newSocket(WebSocket);
    run.socket = socket;
    try {
      await socket.opened;
    } finally {
      this.#requirePresent(run);
    }
    return socket;
  }

  #newSocket(WebSocket: WebSocketConstructor): MessageSocket {
    const url = socketUrl(this.#options.url);
    return new MessageSocket({ url, codec: this.#codec, WebSocket, timeoutMs: this.#timeoutMs });
  }

  async #becomeReady(run: Run, socket: MessageSocket): Promise<void> {
    run.authenticatedAt = performance.now();
    socket.onExpiring = () => {
      this.refresh().catch(() => {});
    };
    socket.onSuspension = () => {
      if (run === this.#run && this.#authenticated) this.#enter(socket.suspended ? "suspended" : "ready");
    };
    socket.keepAlive(this.#options.heartbeatMs ?? 30_000);
    const refreshes = run.tokens?.refreshToken !== null;
    await negotiate(socket, { ...this.#loginParts, refreshes, onStepUp: this.#options.onStepUp });
    await this.#subscriptions.renew(socket, subjectOf(run.tokens?.accessToken));
    this.#requirePresent(run);
    run.refreshFirst = false;
    void socket.closed.then((close) => this.#lost(run, close));
    this.#enter(socket.suspended ? "suspended" : "ready");
  }

  async #granted(run: Run, socket: MessageSocket, grant: SessionGrant): Promise<void> {
    try {
      this.#requirePresent(run);
      run.tokens = grantedTokens(grant, Date.now());
      await this.#tokens.save(run.tokens);
      await untilAuthenticated(socket, this.#timeoutMs);
      await this.#becomeReady(run, socket);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  async #refreshOnce(run: Run, socket: MessageSocket): Promise<void> {
    const next = await refreshOnSocket(socket, this.#tokens, this.#timeoutMs);
    if (next === undefined) return;
    run.tokens = next;
    await this.#tokens.save(next);
  }

  /** The ready socket closed. */
  #lost(run: Run, close: CloseInfo): void {
    if (run !== this.#run || run.leaving) return;
    const error = errorOfClose(close);
    const authenticatedForMs = performance.now() - run.authenticatedAt;
    const next = reconnectionAfter(close.code, authenticatedForMs, this.#backoff);
    if (next === undefined) {
      void this.#stopTrying(run, error);
      return;
    }
    run.refreshFirst = next.refreshFirst;
    this.#subscriptions.lost(error);
    this.#enter("connecting", error);
    this.#schedule(run, next.afterMs);
  }

  #schedule(run: Run, delayMs: number): void {
    if (run !== this.#run) return;
    run.retry = setTimeout(() => {
      this.#attempt(run).catch((error: unknown) => this.#failed(run, attemptError(error)));
    }, delayMs);
  }

  #failed(run: Run, error: GatewayError): void {
    if (run !== this.#run) return;
    if (error.code === "login_required" || error.code === "refused") void this.#stopTrying(run, error);
    else this.#schedule(run, Math.max(this.#backoff.next(), (error.retryAfterSeconds ?? 0) * 1000));
  }

  /** Stops reconnecting. Forgets tokens that the server refuses for good. Never rejects. */
  async #stopTrying({ tokens }: Run, error: GatewayError): Promise<GatewayError> {
    this.#begin("ended", error);
    if (error.code === "login_required" && tokens) await forgetTokens(this.#tokens, tokens);
    return error;
  }

  #enter(state: ClientState, error?: GatewayError): void {
    if (this.#state === state && error === undefined) return;
    this.#state = state;
    this.#endedBy = state === "ended" ? error : undefined;
    if (this.#options.onState) invokeCallback(this.#options.onState, state, error);
  }

  #readySocket(): MessageSocket {
    const { socket } = this.#run;
    if (!this.#authenticated || socket === undefined)
      throw this.#endedBy ?? new GatewayError("not_connected", "Not connected: call connect() first");
    return socket;
  }
}
