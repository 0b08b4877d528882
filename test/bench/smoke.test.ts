import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import type { Job } from "../../bench/load/handshakes.ts";
import { startChild } from "../../bench/support/child.ts";
import type { Latencies } from "../../bench/support/figures.ts";
import type { Published, Result } from "../../bench/support/result.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const root = path.resolve(import.meta.dirname, "../..");
const folder = temporaryFolder();
afterAll(() => folder.remove());

/** A program that uses the framework's files, as `.build/bench.mjs` bundles them. */
async function bundled(name: string, source: string): Promise<string> {
  const outfile = path.join(folder.path, `${name}.mjs`);
  await build({
    stdin: { contents: source, resolveDir: path.join(root, "bench"), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    outfile,
    logLevel: "silent",
  });
  return outfile;
}

const result: Result = {
  question: "smoke",
  title: "Cost of <nothing>",
  main: { column: "cost", lessIsBetter: true },
  columns: ["cost", "time"],
  settings: { rounds: 3 },
  contenders: [
    { name: "gatehouse", version: "1", figures: { cost: { unit: "µs", values: [10, 30, 20] } } },
    { name: "peer", version: "2", figures: { cost: { unit: "µs", values: [Number.POSITIVE_INFINITY] } } },
  ],
  absent: [{ name: "other", reason: "no such package" }],
  thresholds: [{ name: "gatehouse / peer", unit: "", values: [1, 3, 2], must: { atMost: 2 }, aim: 1 }],
  remarks: [],
};

describe("a report", () => {
  let program = "";
  beforeAll(async () => {
    const source =
      'import { report } from "./support/report.ts"; report(JSON.parse(process.env.RESULT ?? ""));';
    program = await bundled("report", source);
  });

  function reported(values: readonly number[], must: object, ...flags: string[]) {
    const thresholds = [{ ...result.thresholds[0], values, must }];
    const env = { ...process.env, RESULT: JSON.stringify({ ...result, thresholds }) };
    return spawnSync(process.execPath, [program, ...flags], { cwd: folder.path, env, encoding: "utf8" });
  }

  it("fails the command when the median misses a threshold, and only with --check", () => {
    expect(reported([1, 3, 2], { atMost: 2 }, "--check").status).toBe(0);
    const missed = reported([1, 3, 2.1], { atMost: 2 }, "--check");
    expect(missed.status).toBe(1);
    expect(missed.stdout).toContain("FAIL gatehouse / peer: 2.1 (1-3), must <= 2, aim <= 1");
    expect(missed.stdout).toContain("check: 1 failed");
    expect(reported([1, 3, 2.1], { atMost: 2 }).status).toBe(0);
    expect(reported([5.9], { atLeast: 6 }, "--check").status).toBe(1);
    expect(reported([6], { atLeast: 6 }, "--check").status).toBe(0);
  });

  it("takes a figure that was never reached as a miss", () => {
    expect(reported([], { atMost: 2 }, "--check").status).toBe(1);
  });

  it("prints who did not run, and writes JSON and a chart where it is told to", () => {
    const { stdout } = reported([1], { atMost: 2 });
    expect(stdout).toMatch(/gatehouse\s+1\s+20 µs \(10-30\)\s+-/);
    expect(stdout).toMatch(/other\s+did not run: no such package/);
    const quiet = path.join(folder.path, "dist/bench/results");
    const published = JSON.parse(readFileSync(path.join(quiet, "smoke.json"), "utf8")) as Published;
    expect(published.machine.node).toBe(process.version);
    expect(published.contenders[0]?.figures.cost?.values).toEqual([10, 30, 20]);
    const chart = readFileSync(path.join(quiet, "smoke.svg"), "utf8");
    expect(chart).toContain("Cost of &#60;nothing&#62;");
    expect(chart).not.toMatch(/NaN|Infinity/);
    expect(existsSync(path.join(folder.path, "bench/results"))).toBe(false);
    reported([1], { atMost: 2 }, "--publish");
    expect(existsSync(path.join(folder.path, "bench/results/smoke.json"))).toBe(true);
  });
});

describe("the load generator", () => {
  const STALL_MS = 600;
  const tokens = Array.from({ length: 600 }, (_, nth) => `token ${nth}`);

  /** What the load generator measures of a server that stalls once. */
  async function measured(kind: "open" | "closed", model: object): Promise<Latencies> {
    const file = await bundled("handshakes", 'import "./load/handshakes.ts";');
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
    let connections = 0;
    server.on("connection", (socket) => {
      connections += 1;
      // Nothing else runs in this process meanwhile.
      if (connections === 100) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
      socket.on("message", () => socket.send('{"type":"auth_ok"}'));
    });
    await once(server, "listening");
    const load = await startChild(file, { on: "load" });
    try {
      const { port } = server.address() as AddressInfo;
      const job: Job = { port, dialect: "home-assistant", tokens };
      return (await load.ask<{ latencies: Latencies }>(kind, { ...job, ...model })).latencies;
    } finally {
      await load.stop();
      server.close();
    }
  }

  it("charges a server that stalls for every client that was due meanwhile", async () => {
    const latencies = await measured("open", { perSecond: 300 });
    expect(latencies.count).toBe(600);
    // 180 of 600 were due during the stall, evenly: 1 % of all waited for 580 ms and more of the 600.
    expect(latencies.p99).toBeGreaterThan(STALL_MS * 0.9);
  });

  it("does not see that in a closed model, where clients wait with the server: it is for rates only", async () => {
    const latencies = await measured("closed", { concurrency: 2 });
    expect(latencies.count).toBe(600);
    expect(latencies.max).toBeGreaterThan(STALL_MS * 0.9);
    expect(latencies.p99).toBeLessThan(STALL_MS * 0.9);
  });

  it("ends with the benchmark that started it, however that ends", async () => {
    const child = await bundled(
      "idle",
      'import { answer } from "./support/answering.ts"; answer({ port: 0, version: "" }, {});',
    );
    const parent = await bundled(
      "parent",
      `import { startChild } from "./support/child.ts";
      const { pid } = await startChild(process.argv[2], { on: "load" });
      console.log(pid);
      if (process.argv[3] === "throws") throw new Error("a benchmark's fault");
      setInterval(() => undefined, 1000);`,
    );
    for (const signal of ["throws", "SIGINT", "SIGKILL"] as const) {
      const benchmark = spawn(process.execPath, [parent, child, signal], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      const [pid] = (await once(benchmark.stdout, "data")) as [Buffer];
      if (signal !== "throws") benchmark.kill(signal);
      await expect.poll(() => existsSync(`/proc/${Number(pid)}`), { timeout: 10_000 }).toBe(false);
    }
  });

  it("reports a child's last output if it dies before it answers", async () => {
    const file = await bundled("dying", 'console.error("no such port"); process.exit(3);');
    await expect(startChild(file, { on: "load" })).rejects.toThrow(/ended \(3\): no such port/);
  });
});
