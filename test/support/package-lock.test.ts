import { describe, expect, it } from "vitest";

import { patiently } from "./package-lock.mjs";

const held = (file: string, what: string) => ({
  status: 100,
  stderr: `E: Could not get lock ${file}. It is held by process 4711 (apt-get)\nE: ${what}\n`,
});
/** What Debian's apt-get 2.6 prints for each lock. */
const locks = [
  held("/var/lib/apt/lists/lock", "Unable to lock directory /var/lib/apt/lists/"),
  held(
    "/var/lib/dpkg/lock-frontend",
    "Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
  ),
  held(
    "/var/lib/dpkg/lock",
    "Unable to lock the administration directory (/var/lib/dpkg/), is another process using it?",
  ),
  held("/var/cache/apt/archives/lock", "Unable to lock directory /var/cache/apt/archives/"),
];
const done = { status: 0, stderr: "" };

function run(answers: readonly (typeof done)[], deadlineMs = 60_000) {
  const left = [...answers];
  const told: string[] = [];
  let runs = 0;
  const install = () => {
    runs += 1;
    return left.length > 1 ? (left.shift() ?? done) : (left[0] ?? done);
  };
  const ok = patiently(install, (text) => told.push(text), { deadlineMs, pauseMs: 1 });
  return { ok, runs, told };
}

describe("the package manager's locks", () => {
  it("are waited for, each of them, with one message", () => {
    expect(run([...locks, done])).toEqual({
      ok: true,
      runs: 5,
      told: ["another process holds the package manager's lock: waiting for it"],
    });
  });

  it("are not waited for without a limit", () => {
    const { ok, runs, told } = run(locks.slice(0, 1), 20);
    expect({ ok, last: told.at(-1) }).toEqual({ ok: false, last: locks[0]?.stderr.trim() });
    expect(runs).toBeGreaterThan(1);
  });

  it("are distinguished from other faults, which end the run at once, with the reason", () => {
    const stderr = "E: Unable to locate package spin\n";
    expect(run([{ status: 100, stderr }])).toEqual({ ok: false, runs: 1, told: [stderr.trim()] });
  });
});
