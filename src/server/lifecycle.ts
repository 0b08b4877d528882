import type { Config } from "./config/schema.ts";
import { createGateway, type Gateway, type GatewayParts, type Started } from "./gateway.ts";

/** The part of Node's process that a running gateway needs. */
export type ProcessEvents = Pick<NodeJS.Process, "on" | "off">;

export interface RunOptions extends GatewayParts {
  /** Called once it serves: the place to print where, and the set-up link. */
  readonly announce: (started: Started, gateway: Gateway) => void;
  /** For tests; default: this process. */
  readonly process?: ProcessEvents;
  /** Ends the process at once, after a second signal or a defect that cannot be survived; default: `process.exit`. */
  readonly exit?: (code: number) => void;
}

/** After a signal by the system: 128 and its number. */
const forced = { SIGINT: 130, SIGTERM: 143 } as const;
/**
 * A signal that comes so soon after the first is the same wish, ms: at a terminal Ctrl-C reaches the gateway, and npm beside
 * it, which passes it on.
 */
const sameWishMs = 250;
/** A process that may be broken closes what it can, and no longer. */
const crashGraceMs = 1_000;

/**
 * Runs a gateway until SIGTERM or SIGINT, drains, and settles with the exit code 0. A second signal, a moment later or
 * more, ends the process at once. Rejects when the gateway cannot start. SIGHUP renews the TLS certificate and never ends the process.
 *
 * A rejection that nobody handled is logged and counted as a defect and the process goes on: it broke one request, and a
 * gateway that exits for it cuts off everybody. After an exception that nobody caught the process state is not known
 * any more: it is logged, sockets are closed within 1 s, and the process exits with 1.
 */
export async function runGateway(config: Config, options: RunOptions): Promise<number> {
  const gateway = await createGateway(config, options);
  const stopped = untilStopped(gateway, options);
  try {
    options.announce(await gateway.start(), gateway);
    return await stopped.code;
  } finally {
    stopped.forget();
  }
}

function untilStopped(gateway: Gateway, options: RunOptions) {
  const events = options.process ?? process;
  const exit = options.exit ?? ((code: number) => process.exit(code));
  const { log, metrics } = gateway;
  let settle: (code: number) => void = () => undefined;
  const code = new Promise<number>((resolve) => {
    settle = resolve;
  });
  let stoppingSince: number | undefined;
  const onSignal = (signal: keyof typeof forced) => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince < sameWishMs) return;
      log.flush();
      exit(forced[signal]);
      return;
    }
    stoppingSince = performance.now();
    log.info({ signal }, "stopping");
    void gateway.stop().then(() => settle(0));
  };
  const onHangup = (signal: "SIGHUP") => {
    log.info({ signal }, "reading the TLS certificate again; nothing else is read");
    void gateway.renewTls();
  };
  const onRejection = (error: unknown) => {
    metrics.defect("unhandled_rejection");
    log.error({ err: error }, "a rejection was not handled");
  };
  const onException = (error: unknown) => {
    log.error({ err: error }, "an exception was not caught; ending");
    void gateway.stop(crashGraceMs).then(() => exit(1));
    setTimeout(() => exit(1), 3 * crashGraceMs).unref();
  };
  const handlers = [
    ["SIGTERM", onSignal],
    ["SIGINT", onSignal],
    ["SIGHUP", onHangup],
    ["unhandledRejection", onRejection],
    ["uncaughtException", onException],
  ] as const;
  for (const [event, handler] of handlers) events.on(event, handler as () => void);
  return {
    code,
    forget: () => {
      for (const [event, handler] of handlers) events.off(event, handler as () => void);
    },
  };
}
