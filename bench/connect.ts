// What does it cost a server to take a connection from TCP connect to `auth_ok`? CPU seconds of the server process per
// connection, Gatehouse against the bare library with the same frames and one HMAC check, rounds taken in turn.
import path from "node:path";

import { authenticateAll } from "./support/handshakes.ts";
import { type ServerProcess, startServer } from "./support/server-process.ts";

const ROUNDS = 7;
const CONNECTIONS = 2_000;
const CONCURRENCY = 32;

const servers = path.join(import.meta.dirname, "servers");
const contenders = {
  "bare uws": ["bare.js", "uws"],
  "gatehouse uws": ["gatehouse.js", "uws"],
  "bare ws": ["bare.js", "ws"],
  "gatehouse ws": ["gatehouse.js", "ws"],
} as const;

const running = new Map<string, ServerProcess>();
for (const [name, [file, library]] of Object.entries(contenders)) {
  running.set(name, await startServer(path.join(servers, file), [library, String(CONNECTIONS)]));
}

/** Microseconds of server CPU per connection, by round. */
const costs = new Map<string, number[]>([...running.keys()].map((name) => [name, []]));
for (let round = -1; round < ROUNDS; round += 1) {
  for (const [name, server] of running) {
    const before = server.cpuSeconds();
    await authenticateAll(server.port, server.tokens, CONCURRENCY);
    const cost = ((server.cpuSeconds() - before) / CONNECTIONS) * 1e6;
    // The first round warms the compilers up.
    if (round >= 0) costs.get(name)?.push(cost);
  }
}
for (const server of running.values()) await server.stop();

const sorted = (name: string) => [...(costs.get(name) ?? [])].sort((a, b) => a - b);
const median = (name: string) => sorted(name)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
console.log(`server CPU per connection, ${ROUNDS} rounds of ${CONNECTIONS}, ${CONCURRENCY} at once`);
for (const name of running.keys()) {
  const spread = sorted(name);
  const range = `${spread[0]?.toFixed(0)} to ${spread.at(-1)?.toFixed(0)}`;
  console.log(`${name.padEnd(14)} ${median(name).toFixed(0).padStart(5)} µs   (${range})`);
}
for (const library of ["uws", "ws"]) {
  const ratio = median(`gatehouse ${library}`) / median(`bare ${library}`);
  console.log(`gatehouse ${library} / bare ${library}: ${ratio.toFixed(2)}`);
}
