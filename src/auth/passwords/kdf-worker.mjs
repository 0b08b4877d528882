// The program of a KDF thread. Plain JavaScript, because a worker thread runs it the same from sources and from dist.
import { createHash, createHmac, scryptSync } from "node:crypto";
import { parentPort } from "node:worker_threads";

const mac = (key, text) => createHmac("sha256", key).update(text).digest();

/** One run with each set of parameters. The keys (RFC 5802 section 3) are derived from the run at index `kept`. */
function keysOf({ password, salt, runs, kept }) {
  const results = runs.map((options) => scryptSync(password, salt, 32, options));
  const salted = results[kept];
  const clientKey = mac(salted, "Client Key");
  const keys = {
    storedKey: new Uint8Array(createHash("sha256").update(clientKey).digest()),
    serverKey: new Uint8Array(mac(salted, "Server Key")),
  };
  for (const secret of [clientKey, ...results]) secret.fill(0);
  return keys;
}

/** An error's text is dropped, because it could quote an argument. */
function answerTo(job) {
  try {
    return keysOf(job);
  } catch {
    return { failed: true };
  } finally {
    job.password.fill(0);
  }
}

parentPort?.on("message", (job) => parentPort?.postMessage(answerTo(job)));
