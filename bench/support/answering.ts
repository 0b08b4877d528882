// A child's side of child.ts: says that it is ready, then answers questions.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";

export type Handlers = Readonly<Record<string, (details: never) => unknown>>;

/**
 * Once, between preparing and warming up, or before memory is read. Never before a round: a full collection throws
 * optimized code away, and compiling it again cost 30 to 70 microseconds a connection here.
 */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** Resolves when what had arrived on sockets before was handled. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const inspector = new Session();

const everyMs = 5;
const delay = monitorEventLoopDelay({ resolution: everyMs });

/** What every child can do. */
const common: Handlers = {
  settle: collectGarbage,
  quiet,
  memory: () => process.memoryUsage(),
  "delay-start"() {
    delay.reset();
    delay.enable();
  },
  /** Milliseconds that the event loop was late for a timer. */
  "delay-stop"() {
    delay.disable();
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - everyMs);
    return { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), max: late(delay.max) };
  },
  async "profile-start"() {
    inspector.connect();
    await inspector.post("Profiler.enable");
    await inspector.post("Profiler.setSamplingInterval", { interval: 200 });
    await inspector.post("Profiler.start");
  },
  async "profile-stop"({ file }: { file: string }) {
    const { profile } = await inspector.post("Profiler.stop");
    inspector.disconnect();
    writeFileSync(file, JSON.stringify(profile));
  },
};

export function answer(
  ready: { readonly port: number; readonly version: string; readonly server?: number },
  handlers: Handlers,
): void {
  process.on("message", (message: { id: number; ask: string }) => {
    const handle = handlers[message.ask] ?? common[message.ask];
    const outcome = (async () => {
      if (handle === undefined) throw new Error(`nobody answers ${message.ask}`);
      return await handle(message as never);
    })();
    outcome.then(
      (result) => process.send?.({ id: message.id, answer: result ?? null }),
      (error: unknown) => process.send?.({ id: message.id, error: String((error as Error)?.stack ?? error) }),
    );
  });
  // Whoever started it is gone: nobody would stop it any more.
  process.on("disconnect", () => process.exit());
  // Or was gone before this process could listen for it.
  if (!process.connected) process.exit();
  // With what handlers of `exit` clear away.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit());
  process.send?.({ id: 0, ...ready });
}
