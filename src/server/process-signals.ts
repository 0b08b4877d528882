import type { Config } from "./config/schema.ts";
import { createGateway, type Gateway, type GatewayParts, type Started } from "./gateway.ts";

/** The part of Node's process that a running gateway uses. */
export type ProcessEvents = Pick<NodeJS.Process, "on" | "off">;

export interface RunOptions extends GatewayParts {
  /** Called once the gateway serves. Prints its URL and the set-up link. */
  readonly announce: (started: Started, gateway: Gateway) => void;
  /** Default: this process. Tests pass their own. */
  readonly process?: ProcessEvents;
  /** Ends the process at once, after a second signal or a fatal defect. Default: `process.exit`. */
  readonly exit?: (code: number) => void;
  /** Ends the process if it cannot exit, because the reader of its log hangs. Default: SIGKILL to itself. */
  readonly kill?: () => void;
}

/** Exit codes after a signal, by convention: 128 plus its number. */
const forced = { SIGINT: 130, SIGTERM: 143 } as const;
/**
 * A second signal within this time, ms, counts as the same request: at a terminal Ctrl-C reaches the gateway, and npm,
 * which forwards it.
 */
const sameWishMs = 250;
/** After a fatal defect the process closes what it can within this time, ms. */
const crashGraceMs = 1_000;

/**
 * Runs a gateway until SIGTERM or SIGINT, drains, and resolves with exit code 0. A second signal that is not part of
 * the same Ctrl-C ends the process as soon as its log is written, within 3 s. Rejects if the gateway cannot start. SIGHUP renews the TLS certificate and
 * never ends the process.
 *
 * An unhandled rejection is logged and counted as a defect, and the process goes on: it affected one request, and an
 * exit would disconnect everybody. After an uncaught exception the state of the process is unknown: it is logged,
 * sockets are closed within 1 s, and the process exits with 1.
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
  // Node waits for its threads when it exits, and one of them may write to a reader of the log that hangs.
  const kill = options.kill ?? (() => process.kill(process.pid, "SIGKILL"));
  const end = async (status: number) => {
    if (await log.flush()) exit(status);
    else kill();
  };
  let settle: (code: number) => void = () => undefined;
  const code = new Promise<number>((resolve) => {
    settle = resolve;
  });
  let stoppingSince: number | undefined;
  const onSignal = (signal: keyof typeof forced) => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince < sameWishMs) return;
      void end(forced[signal]);
      return;
    }
    stoppingSince = performance.now();
    log.info({ signal }, "stopping");
    void gateway.stop().then(async () => {
      if (!(await log.flush())) kill();
      settle(0);
    });
  };
  const onHangup = (signal: "SIGHUP") => {
    log.info({ signal }, "reading the TLS certificate again; no other file is read");
    void gateway.renewTls();
  };
  const onRejection = (error: unknown) => {
    metrics.defect("unhandled_rejection");
    log.error({ err: error }, "unhandled rejection");
  };
  const onException = (error: unknown) => {
    log.error({ err: error }, "uncaught exception; ending");
    void gateway.stop(crashGraceMs).then(() => end(1));
    setTimeout(() => void end(1), 3 * crashGraceMs).unref();
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
