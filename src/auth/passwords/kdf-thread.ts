import { Worker } from "node:worker_threads";

import type { ScryptParameters } from "./passwords.ts";
import { memoryOf } from "./scrypt-parameters.ts";

/** One piece of work for a thread. */
export interface KdfJob {
  /** NFKC in UTF-8, in a buffer of its own that is transferred to the thread and wiped there. */
  readonly password: Uint8Array & { readonly buffer: ArrayBuffer };
  readonly salt: Uint8Array;
  /**
   * One run with each, in this order. The keys are derived from the run at index `kept`; the other results are
   * discarded.
   */
  readonly runs: readonly ScryptParameters[];
  readonly kept: number;
}

/** The keys of RFC 5802 section 3. SaltedPassword never leaves the thread. */
export interface KdfKeys {
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export type KdfAnswer = KdfKeys | { readonly failed: true };

/** A thread with an empty environment and without the parent's loaders. It keeps the process alive while it works. */
export function startKdfThread(): Worker {
  return new Worker(new URL("./kdf-worker.mjs", import.meta.url), {
    name: "gatehouse-kdf",
    env: {},
    execArgv: [],
    stdin: false,
  });
}

/** Sends a job. `job.password` is detached afterwards. */
export function postJob(thread: Worker, job: KdfJob): void {
  const { password, salt, runs, kept } = job;
  const message = { password, salt, runs: runs.map(optionsOf), kept };
  thread.postMessage(message, [password.buffer]);
}

/** Node's default memory limit (32 MiB) is below OWASP's minimum. */
function optionsOf(parameters: ScryptParameters) {
  const { N, r, p } = parameters;
  return { N, r, p, maxmem: memoryOf(parameters) + 65_536 };
}
