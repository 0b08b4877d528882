import { Worker } from "node:worker_threads";

import type { ScryptParameters } from "./passwords.ts";
import { memoryOf } from "./scrypt-parameters.ts";

/** One piece of work for a thread. */
export interface KdfJob {
  /** NFKC and UTF-8, in memory of its own: moved to the thread, wiped there. */
  readonly password: Uint8Array & { readonly buffer: ArrayBuffer };
  readonly salt: Uint8Array;
  /** One run with each, in this order; the keys are made from the run at `kept`, the others are thrown away. */
  readonly runs: readonly ScryptParameters[];
  readonly kept: number;
}

/** RFC 5802 section 3, of SaltedPassword, which never leaves the thread. */
export interface KdfKeys {
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export type KdfAnswer = KdfKeys | { readonly failed: true };

/** A thread with an empty environment and nothing of the parent's loaders. Keeps the process alive while it works. */
export function startKdfThread(): Worker {
  return new Worker(new URL("./kdf-worker.mjs", import.meta.url), {
    name: "gatehouse-kdf",
    env: {},
    execArgv: [],
    stdin: false,
  });
}

/** Hands a job over; `job.password` is empty afterwards. */
export function postJob(thread: Worker, job: KdfJob): void {
  const { password, salt, runs, kept } = job;
  const message = { password, salt, runs: runs.map(optionsOf), kept };
  thread.postMessage(message, [password.buffer]);
}

/** Node's default bound (32 MiB) is below OWASP's floor. */
function optionsOf(parameters: ScryptParameters) {
  const { N, r, p } = parameters;
  return { N, r, p, maxmem: memoryOf(parameters) + 65_536 };
}
