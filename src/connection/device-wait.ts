import type { Params } from "../../protocol/commands/index.ts";
import type { DeviceOutcome, DeviceStarted } from "../../protocol/commands/login.ts";
import type { ServerMessage } from "../../protocol/frames.ts";
import type { RegisteredClient } from "../auth/clients/client-record.ts";
import type { RegisteredClients } from "../auth/clients/registered-clients.ts";
import { AuthError } from "../auth/errors.ts";
import type { Peer } from "../auth/model.ts";
import type { DeviceAuthorizations } from "../auth/oauth/device-authorizations.ts";
import { sessionGrantOf } from "../auth/sessions/token-grant.ts";
import type { LoginOutcome } from "./login-messages.ts";
import { FlowPollTimer, type LookTimerParts } from "./look-timer.ts";
import type { ConnectionLog } from "./observer.ts";

export interface DeviceWaitParts extends LookTimerParts {
  readonly devices: Pick<DeviceAuthorizations, "begin" | "redeem" | "requireForSocket" | "watch">;
  readonly clients: Pick<RegisteredClients, "find">;
  readonly log: ConnectionLog;
}

type Hand = (
  outcome: LoginOutcome,
  message: Extract<ServerMessage, { readonly type: "event" }>,
) => Promise<void>;

interface Waiting {
  readonly client: RegisteredClient;
  readonly deviceCode: string;
  /** The id of the message that waits: the outcome is an event on it. */
  readonly requestId: number;
  readonly stop: () => void;
}

/**
 * A device that waits on its socket for a person to decide on it (RFC 8628 without polls). The event bus says when there
 * is a decision. A message of the bus may be lost, so the record is also read before the socket's time is over.
 */
export class DeviceWait {
  readonly #parts: DeviceWaitParts;
  readonly #host: { readonly peer: Peer; allowLogin(): void };
  readonly #queue: (look: () => Promise<void>) => void;
  readonly #hand: Hand;
  readonly #timer: FlowPollTimer;
  #waiting: Waiting | undefined;
  #lookQueued = false;
  /** A start that was under way then must not wait: nobody would stop it. */
  #isGone = false;

  constructor(
    parts: DeviceWaitParts,
    host: { readonly peer: Peer; allowLogin(): void },
    queue: (look: () => Promise<void>) => void,
    hand: Hand,
  ) {
    this.#parts = parts;
    this.#host = host;
    this.#queue = queue;
    this.#hand = hand;
    this.#timer = new FlowPollTimer(parts, () => this.#lookSoon());
  }

  async start(message: Params<"auth/device/start">): Promise<LoginOutcome> {
    const { devices } = this.#parts;
    const client = await this.#publicClient(message.client_id);
    const wishes = { scope: message.scope ?? null, resource: null };
    const begun = await devices.begin(client, wishes, this.#host.peer);
    this.#wait(client, begun.deviceCode, message.id);
    const result: DeviceStarted = {
      device_code: begun.deviceCode,
      user_code: begun.userCode,
      verification_uri: begun.verificationUri,
      verification_uri_complete: begun.verificationUriComplete,
      expires_in: begun.expiresInMs / 1000,
    };
    return { result };
  }

  async wait(message: Params<"auth/device/wait">): Promise<LoginOutcome> {
    const client = await this.#publicClient(message.client_id);
    await this.#parts.devices.requireForSocket(client, message.device_code);
    this.#wait(client, message.device_code, message.id);
    // What was decided before this socket waited was told to nobody. Queued behind the answer to this message.
    this.#lookSoon();
    return { result: null };
  }

  /** The socket is closed, or was let in. */
  gone(): void {
    this.#isGone = true;
    this.#stop();
  }

  #stop(): void {
    this.#timer.stop();
    this.#waiting?.stop();
    this.#waiting = undefined;
  }

  /** Nothing authenticates a client here. */
  async #publicClient(clientId: string): Promise<RegisteredClient> {
    const client = await this.#parts.clients.find(clientId);
    if (client?.authMethod !== "none") throw new AuthError("invalid_client");
    return client;
  }

  /** A socket waits for one device. */
  #wait(client: RegisteredClient, deviceCode: string, requestId: number): void {
    if (this.#isGone) return;
    this.#stop();
    const stop = this.#parts.devices.watch(deviceCode, () => this.#lookSoon());
    this.#waiting = { client, deviceCode, requestId, stop };
    this.#host.allowLogin();
    this.#timer.later();
  }

  #lookSoon(): void {
    if (this.#lookQueued) return;
    this.#lookQueued = true;
    this.#queue(() => this.#look());
  }

  async #look(): Promise<void> {
    this.#lookQueued = false;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    try {
      const grant = await this.#parts.devices.redeem({ ...waiting, peer: this.#host.peer, polls: false });
      const { accessToken, session } = grant;
      const granted = { accessToken, newSession: session.id };
      await this.#end(waiting, { outcome: "approved", session: sessionGrantOf(grant) }, granted);
    } catch (error) {
      const code = error instanceof AuthError ? error.code : undefined;
      if (code === "authorization_pending") this.#timer.later();
      else if (code === "device_refused" || code === "access_denied")
        await this.#end(waiting, { outcome: "refused" });
      else if (code === "expired_token" || code === "invalid_grant")
        await this.#end(waiting, { outcome: "expired" });
      else {
        if (code === undefined) this.#parts.log.error({ err: error }, "device authorization was not read");
        this.#timer.again();
      }
    }
  }

  async #end(waiting: Waiting, event: DeviceOutcome, granted?: LoginOutcome["granted"]): Promise<void> {
    this.#stop();
    const outcome = granted === undefined ? { result: event } : { result: event, granted };
    await this.#hand(outcome, { id: waiting.requestId, type: "event", event });
  }
}
