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

/**
 * The thread's program: plain JavaScript as text, so that it runs the same from sources, from dist and from a bundle. An
 * error's text is dropped, because it could quote an argument.
 */
const program = `
"use strict";
const { parentPort } = require("node:worker_threads");
const { scryptSync, createHmac, createHash } = require("node:crypto");
const mac = (key, text) => createHmac("sha256", key).update(text).digest();
function keysOf(job) {
  let salted;
  job.runs.forEach((options, place) => {
    const result = scryptSync(job.password, job.salt, 32, options);
    if (place === job.kept) salted = result;
    else result.fill(0);
  });
  const clientKey = mac(salted, "Client Key");
  const keys = {
    storedKey: new Uint8Array(createHash("sha256").update(clientKey).digest()),
    serverKey: new Uint8Array(mac(salted, "Server Key")),
  };
  clientKey.fill(0);
  salted.fill(0);
  return keys;
}
parentPort.on("message", (job) => {
  let answer;
  try { answer = keysOf(job); } catch { answer = { failed: true }; }
  job.password.fill(0);
  parentPort.postMessage(answer);
});
`;

/** A thread with an empty environment and nothing of the parent's loaders. Keeps the process alive while it works. */
export function startKdfThread(): Worker {
  return new Worker(program, {
    eval: true,
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
