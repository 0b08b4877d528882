/** The program of a worker in a browser: one run of scrypt-js. The build makes a file of its own of it. */
import { scrypt } from "scrypt-js";

export interface WorkerJob {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

export type WorkerAnswer =
  | { readonly part: number }
  | { readonly result: Uint8Array }
  | { readonly fault: string };

/** What a module sees in a worker; `lib.dom.d.ts` has the page's. */
interface WorkerScope {
  setImmediate: (task: () => void) => void;
  postMessage(message: WorkerAnswer | { readonly ready: true }): void;
  onmessage: ((event: { readonly data: WorkerJob }) => void) | null;
}

/** How often the page hears of progress, ms. */
const everyMs = 50;
const bytes = 32;
const scope = globalThis as unknown as WorkerScope;

// scrypt-js yields some thousand times. With timers, which browsers delay by 4 ms each, that would take seconds.
const turns = new MessageChannel();
const tasks: (() => void)[] = [];
turns.port1.onmessage = () => tasks.shift()?.();
scope.setImmediate = (task) => {
  tasks.push(task);
  turns.port2.postMessage(null);
};

scope.onmessage = ({ data: { password, salt, N, r, p } }) => {
  let told = 0;
  const onProgress = (part: number) => {
    const now = performance.now();
    if (now - told < everyMs) return;
    told = now;
    scope.postMessage({ part });
  };
  scrypt(password, salt, N, r, p, bytes, onProgress)
    .then((result) => scope.postMessage({ result }))
    .catch((error: unknown) => scope.postMessage({ fault: String(error) }));
};
scope.postMessage({ ready: true });
