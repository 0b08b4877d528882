// The child's side of child.ts: reports that it is ready, then answers questions.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";

export type Handlers = Readonly<Record<string, (details: never) => unknown>>;

/**
 * Call it once, between preparation and warm-up, or before memory is read. Never before a round: a full collection
 * discards optimised code, and compiling it again cost 30 to 70 microseconds a connection here.
 */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** Resolves once everything that had arrived on sockets before was handled. */
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
  /** Delay of timers in the event loop, ms. */
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
  // The parent is gone, so nothing else would stop this process.
  process.on("disconnect", () => process.exit());
  // The parent may have gone before this process could listen for it.
  if (!process.connected) process.exit();
  // Runs the clean-up of `exit` handlers.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit());
  process.send?.({ id: 0, ...ready });
}
