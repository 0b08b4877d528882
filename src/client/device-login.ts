import type { DeviceOutcome, DeviceStarted } from "../../protocol/commands/login.ts";
import { attemptError, errorOfClose, GatewayError } from "./errors.ts";
import { isRetryable, type LoginHost } from "./login-flow.ts";
import type { MessageSocket } from "./message-socket.ts";
import { createBackoff } from "./reconnect-rule.ts";

/** A device that shows a code and waits until a person elsewhere has decided (RFC 8628). */
export interface DeviceLogin {
  /** What the person types, for instance `BCDF-GHJK`. */
  readonly userCode: string;
  /** The page on which the person types it. */
  readonly verificationUri: string;
  /** The same with the code in it, for a QR code. */
  readonly verificationUriComplete: string;
  readonly expiresAt: Date;
  /**
   * Resolves once the client is `ready`. Rejects with `access_denied` if the person refuses, with `expired_token`
   * if nobody decides in time, and with `not_connected` if the client is closed or begins something else. If the
   * socket drops, the device goes on waiting on a new one.
   */
  readonly done: Promise<void>;
}

type Host = Pick<LoginHost, "open" | "timeoutMs" | "backoff" | "granted">;

export async function startDevice(
  host: Host,
  request: { readonly client_id: string; readonly scope?: string | undefined },
): Promise<DeviceLogin> {
  const socket = await host.open();
  const first = waitingFor(socket, host, { type: "auth/device/start", ...request });
  const started = (await first.answered.catch((error: unknown) => {
    socket.close();
    throw error;
  })) as DeviceStarted;
  const expiresAt = Date.now() + started.expires_in * 1000;
  const wait = { type: "auth/device/wait", client_id: request.client_id, device_code: started.device_code };
  const decided = first.outcome.then((outcome) => ({ socket, outcome }));
  const done = untilDecided(host, decided, wait, expiresAt);
  // A caller need not await it.
  done.catch(() => {});
  return {
    userCode: started.user_code,
    verificationUri: started.verification_uri,
    verificationUriComplete: started.verification_uri_complete,
    expiresAt: new Date(expiresAt),
    done,
  };
}

/** Sends the message. The outcome comes as an event on it; it rejects if the socket is lost first. */
function waitingFor(socket: MessageSocket, { timeoutMs }: Host, message: Readonly<Record<string, unknown>>) {
  let decided: (outcome: DeviceOutcome) => void = () => {};
  const event = new Promise<DeviceOutcome>((resolve) => {
    decided = resolve;
  });
  const lost = socket.closed.then((close) => {
    throw errorOfClose(close);
  });
  const outcome = Promise.race([event, lost]);
  outcome.catch(() => {});
  const { result: answered } = socket.request(message, timeoutMs, (value) => decided(value as DeviceOutcome));
  return { answered, outcome };
}

interface Decided {
  readonly socket: MessageSocket;
  readonly outcome: DeviceOutcome;
}

async function untilDecided(
  host: Host,
  first: Promise<Decided>,
  wait: Readonly<Record<string, unknown>>,
  expiresAt: number,
): Promise<void> {
  const backoff = createBackoff(host.backoff);
  let decided = first;
  for (;;) {
    try {
      await settle(host, await decided);
      return;
    } catch (error) {
      const failure = attemptError(error);
      if (!isRetryable(failure) || Date.now() > expiresAt) throw failure;
      const pauseMs = Math.max(backoff.next(), (failure.retryAfterSeconds ?? 0) * 1000);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    decided = waitAgain(host, wait);
  }
}

async function waitAgain(host: Host, wait: Readonly<Record<string, unknown>>): Promise<Decided> {
  const socket = await host.open();
  try {
    const waiting = waitingFor(socket, host, wait);
    await waiting.answered;
    return { socket, outcome: await waiting.outcome };
  } catch (error) {
    socket.close();
    throw error;
  }
}

async function settle(host: Host, { socket, outcome }: Decided): Promise<void> {
  if (outcome.outcome === "approved") {
    await host.granted(socket, outcome.session);
    return;
  }
  socket.close();
  throw outcome.outcome === "refused"
    ? new GatewayError("access_denied", "A person refused the device")
    : new GatewayError("expired_token", "Nobody decided on the device in time");
}
