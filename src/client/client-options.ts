import type { CommandType, Params } from "../../protocol/commands/index.ts";
import type { Codec } from "../codec/codec.ts";
import type { DeviceTokenStore } from "./device-store.ts";
import type { GatewayError } from "./errors.ts";
import type { WebSocketConstructor } from "./message-socket.ts";
import type { Scrypt } from "./scrypt.ts";
import type { StepUpHandler } from "./step-up.ts";
import type { TokenStore } from "./token-store.ts";

/**
 * - `idle`: not connected; a login may be in progress
 * - `connecting`: opening a socket and authenticating it with stored tokens, or waiting for the next attempt
 * - `ready`: authenticated
 * - `suspended`: authenticated, but the server has paused the socket, because it does not know at the moment which
 *   sessions were revoked. Calls wait and their deadlines are paused. Then comes `ready`, or a disconnect that the close
 *   code explains
 * - `ended`: stopped until `connect` or `login` is called; calls reject with the error that `onState` got
 */
export type ClientState = "idle" | "connecting" | "ready" | "suspended" | "ended";

export interface GatewayClientOptions {
  /**
   * The gateway's base address, `http(s)://` or `ws(s)://`, for instance `https://auth.example.org`. Without a scheme
   * it is `https://`, except on loopback.
   */
  readonly url: string;
  /** Default: in memory. */
  readonly tokens?: TokenStore;
  /** Where this device's token is kept between logins. Default: in memory. */
  readonly device?: DeviceTokenStore;
  /** The OAuth client id that the tokens belong to, if they belong to one. */
  readonly clientId?: string | undefined;
  /** Default: JSON. The alternative is `createMsgpackCodec()` of `gatehouse-client/msgpack`. */
  readonly codec?: Codec;
  /** Default: the runtime's own. Node 20 has none; there it is the `ws` package's. */
  readonly WebSocket?: WebSocketConstructor;
  /** Deadline of connecting and of every call, ms. Default 10 s. */
  readonly timeoutMs?: number;
  /**
   * Interval of pings on an authenticated socket, ms. If nothing arrives between two pings, the connection counts as
   * lost. Default 30 s.
   */
  readonly heartbeatMs?: number;
  /**
   * Whether passwords are proved without being sent (SCRAM). `prefer`: where the server offers it. `require`: a password
   * is not sent at all (a reset code is). A form without proofs rejects with `proof_not_offered`, and an imported password is refused as
   * a wrong one. `never`: it is sent. Default:
   * `prefer`.
   */
  readonly scram?: "prefer" | "require" | "never";
  /** A faster scrypt than the default: Node's own, or scrypt-js in a worker. */
  readonly scrypt?: Scrypt;
  /**
   * Lets the person log in again for a call that needs it; the call resolves then. Without it such a call rejects with
   * `recent_login_required`. If it throws or rejects, the call rejects with `step_up_failed`.
   */
  readonly onStepUp?: StepUpHandler;
  /** A reconnect waits between 0 and a ceiling that doubles from `baseMs` to `capMs`. Default 500 ms to 30 s. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
  /** Called with every change of state. `error` is set on `ended`, and on `connecting` after a disconnect. */
  readonly onState?: (state: ClientState, error?: GatewayError) => void;
}

export type CallParams<T extends CommandType> = Omit<Params<T>, "id" | "type">;
/** A command with required fields cannot be called without them. */
export type CallArguments<T extends CommandType> =
  Record<never, never> extends CallParams<T> ? [params?: CallParams<T>] : [params: CallParams<T>];
