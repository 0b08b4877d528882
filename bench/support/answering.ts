// A child's side of child.ts: says that it is ready, then answers questions.

export type Handlers = Readonly<Record<string, (details: never) => unknown>>;

/** Collected before every measured stretch, so that garbage of the preparation is nobody's cost. */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

export function answer(ready: { readonly port: number; readonly version: string }, handlers: Handlers): void {
  process.on("message", (message: { id: number; ask: string }) => {
    const handle = handlers[message.ask];
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
  process.send?.({ id: 0, ...ready });
}
