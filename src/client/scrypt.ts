import type { ScryptCost } from "../../protocol/scram.ts";
import type { WorkerAnswer, WorkerJob } from "./scrypt-worker.ts";

/**
 * scrypt (RFC 7914) with a result of 32 bytes. `onProgress` may be called with the part that is done, 0 to 1. Rejects if
 * it cannot be computed here.
 */
export type Scrypt = (
  password: Uint8Array,
  salt: Uint8Array,
  cost: ScryptCost,
  onProgress: (part: number) => void,
) => Promise<Uint8Array>;

const resultBytes = 32;
/** Node refuses what needs more. */
const mostBytes = 2 ** 30;

interface NodeCrypto {
  scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    size: number,
    options: ScryptCost & { readonly maxmem: number },
    done: (error: Error | null, result: Uint8Array) => void,
  ): void;
}

/**
 * Node's own function, or scrypt-js in a worker of the browser. Undefined if there is neither: known before anything of
 * the login depends on it.
 */
export async function defaultScrypt(): Promise<Scrypt | undefined> {
  const node = nodeCrypto();
  if (node !== undefined) return scryptOfNode(node);
  return await scryptInWorker();
}

/** Not an import: bundlers for browsers would look for the module. */
function nodeCrypto(): NodeCrypto | undefined {
  const { process } = globalThis as {
    readonly process?: { getBuiltinModule?(name: string): NodeCrypto | undefined };
  };
  return process?.getBuiltinModule?.("node:crypto");
}

function scryptOfNode({ scrypt }: NodeCrypto): Scrypt {
  return (password, salt, cost) =>
    new Promise((resolve, reject) => {
      scrypt(password, salt, resultBytes, { ...cost, maxmem: mostBytes }, (error, result) =>
        error === null ? resolve(result) : reject(error),
      );
    });
}

/** Beside this file. Bundlers find the worker by these words. Undefined in a bundle that is no module. */
function workerUrl(): URL | undefined {
  try {
    return new URL("./scrypt-worker.js", import.meta.url);
  } catch {
    return undefined;
  }
}

/** A worker that was started for a proof that came to nothing. The next one uses it. */
let spare: Worker | undefined;

async function scryptInWorker(): Promise<Scrypt | undefined> {
  spare ??= await startWorker(workerUrl());
  if (spare === undefined) return undefined;
  return async (password, salt, { N, r, p }, onProgress) => {
    const taken = spare;
    spare = undefined;
    const worker = taken ?? (await startWorker(workerUrl()));
    if (worker === undefined) throw new Error("The worker has failed");
    const job = { password, salt, N, r, p };
    return await runIn(worker, job, onProgress).finally(() => worker.terminate());
  };
}

function runIn(worker: Worker, job: WorkerJob, onProgress: (part: number) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
      if ("part" in data) onProgress(data.part);
      else if ("result" in data) resolve(data.result);
      else reject(new Error(data.fault));
    };
    worker.onerror = () => reject(new Error("The worker has failed"));
    worker.postMessage(job);
  });
}

interface ScriptPolicy {
  createScriptURL(url: string): string;
}
interface TrustedTypes {
  createPolicy(name: string, rules: ScriptPolicy): ScriptPolicy;
}

/**
 * Pages with Trusted Types run a worker only from an address that a policy has passed. A page that does not allow this one
 * has no worker.
 */
const policy = madePolicy();

function madePolicy(): ScriptPolicy | undefined {
  const { trustedTypes } = globalThis as { readonly trustedTypes?: TrustedTypes };
  try {
    return trustedTypes?.createPolicy("gatehouse-client", { createScriptURL: (url) => url });
  } catch {
    return undefined;
  }
}

/** A worker of this address that has said that it runs; undefined if the page cannot have one. */
async function startWorker(url: URL | undefined): Promise<Worker | undefined> {
  if (typeof Worker === "undefined" || url === undefined) return undefined;
  // A worker's script must be of the page's origin. One that imports ours may have any, if the page's policy lets it.
  const isForeign = url.protocol !== "blob:" && url.origin !== globalThis.location?.origin;
  const text = `import ${JSON.stringify(url.href)}`;
  const address = isForeign ? URL.createObjectURL(new Blob([text], { type: "text/javascript" })) : url.href;
  try {
    const worker = new Worker(policy?.createScriptURL(address) ?? address, { type: "module" });
    return await new Promise((resolve) => {
      worker.onmessage = () => resolve(worker);
      worker.onerror = (event) => {
        event.preventDefault();
        worker.terminate();
        resolve(undefined);
      };
    });
  } catch {
    return undefined;
  } finally {
    if (isForeign) URL.revokeObjectURL(address);
  }
}
