import { Worker } from "node:worker_threads";

import type { ImportedCost } from "./imported/imported-cost.ts";
import type { ScryptParameters } from "./passwords.ts";
import { memoryOf } from "./scrypt-parameters.ts";
import { keyBytes } from "./verifier.ts";

/** A secret in a buffer of its own, which is transferred to the thread and wiped there. */
export type OwnBytes = Uint8Array & { readonly buffer: ArrayBuffer };

/** One piece of work for a thread. */
export interface KdfJob {
  /** NFKC in UTF-8. */
  readonly password: OwnBytes;
  /** As it was typed, in UTF-8: other programs hash that. */
  readonly typed: OwnBytes;
  readonly salt: Uint8Array;
  /** One run with each, in this order. The answer is from the run at index `kept`; the other results are discarded. */
  readonly runs: readonly KdfRun[];
  readonly kept: number;
}

/** Of a verifier, or of an imported hash of so many bytes. */
export type KdfRun = ScryptParameters | { readonly imported: ImportedCost; readonly bytes: number };

/** The keys of RFC 5802 section 3. SaltedPassword never leaves the thread. */
export interface KdfKeys {
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/** What the kept run gave: keys, or what an imported hash is compared with. */
export type KdfResult = KdfKeys | { readonly hash: Uint8Array };
export type KdfAnswer = KdfResult | { readonly failed: true };

/** A thread with an empty environment and without the parent's loaders. It keeps the process alive while it works. */
export function startKdfThread(): Worker {
  return new Worker(new URL("./kdf-worker.mjs", import.meta.url), {
    name: "gatehouse-kdf",
    env: {},
    execArgv: [],
    stdin: false,
  });
}

/** Sends a job. Its secrets are detached afterwards. */
export function postJob(thread: Worker, job: KdfJob): void {
  const { password, typed, salt, runs, kept } = job;
  const message = { password, typed, salt, runs: runs.map(messageOf), kept };
  thread.postMessage(message, [password.buffer, typed.buffer]);
}

function messageOf(run: KdfRun) {
  if (!("imported" in run)) return { kdf: "scrypt", ...optionsOf(run), bytes: keyBytes, imported: false };
  const { imported: cost, bytes } = run;
  return { ...cost, ...(cost.kdf === "scrypt" ? optionsOf(cost) : {}), bytes, imported: true };
}

/** Node's default memory limit (32 MiB) is below OWASP's minimum. */
function optionsOf(parameters: ScryptParameters) {
  const { N, r, p } = parameters;
  return { N, r, p, maxmem: memoryOf(parameters) + 65_536 };
}
