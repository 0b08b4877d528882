// The program of a KDF thread. Plain JavaScript, because a worker thread runs it the same from sources and from dist.
import { createHash, createHmac, pbkdf2Sync, scryptSync } from "node:crypto";
import { parentPort } from "node:worker_threads";

const mac = (key, text) => createHmac("sha256", key).update(text).digest();

/** The bytes of a password that bcrypt reads; what follows counts for nothing. */
const bcryptBytes = 72;

/**
 * One run, 32 bytes of scrypt by default. Functions that other programs use are loaded with the first hash that needs
 * them. They refuse an empty password; whoever asks refuses it too.
 */
async function runOf({ password, salt, run }) {
  const { kdf, bytes } = run;
  if (kdf === "scrypt") return scryptSync(password, salt, bytes, run);
  if (kdf === "pbkdf2") return pbkdf2Sync(password, salt, run.iterations, bytes, run.digest);
  const { [kdf]: hash } = await import("hash-wasm");
  const secret = password.length === 0 ? Uint8Array.of(0) : password;
  if (kdf === "bcrypt") {
    const { cost: costFactor } = run;
    const read = secret.subarray(0, bcryptBytes);
    return (await hash({ password: read, salt, costFactor, outputType: "binary" })).subarray(0, bytes);
  }
  const { memoryKiB: memorySize, passes: iterations, lanes: parallelism } = run;
  const costs = { memorySize, iterations, parallelism, hashLength: bytes };
  return await hash({ password: secret, salt, ...costs, outputType: "binary" });
}

/** The keys of RFC 5802 section 3. */
function keysOf(salted) {
  const clientKey = mac(salted, "Client Key");
  const storedKey = new Uint8Array(createHash("sha256").update(clientKey).digest());
  clientKey.fill(0);
  return { storedKey, serverKey: new Uint8Array(mac(salted, "Server Key")) };
}

/**
 * All runs, in their order. The answer is from the run at index `kept`: the keys, or of an imported hash the hash. The
 * other runs have the same cost with any salt.
 */
async function resultOf({ password, typed, salt, runs, kept }) {
  const results = [];
  for (const [place, run] of runs.entries()) {
    const given = { password: run.imported ? typed : password, salt: place === kept ? salt : otherSalt, run };
    results.push(await runOf(given));
  }
  const result = runs[kept].imported ? { hash: new Uint8Array(results[kept]) } : keysOf(results[kept]);
  for (const secret of results) secret.fill(0);
  return result;
}

const otherSalt = new Uint8Array(16);

/** An error's text is dropped, because it could quote an argument. */
async function answerTo(job) {
  try {
    return await resultOf(job);
  } catch {
    return { failed: true };
  } finally {
    job.password.fill(0);
    job.typed.fill(0);
  }
}

parentPort?.on("message", async (job) => parentPort?.postMessage(await answerTo(job)));
