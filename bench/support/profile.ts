import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Child } from "./child.ts";

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

const LINES = 30;

/**
 * Profiles the child's main thread while `work` runs. Writes a `.cpuprofile` for the browser's developer tools to
 * `dist/bench/profiles`, and prints the functions with the most self time, in microseconds per operation.
 */
export async function profiled(
  child: Child,
  name: string,
  operations: number,
  work: () => Promise<void>,
): Promise<string> {
  const folder = path.resolve("dist/bench/profiles");
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name.replaceAll(" ", "-")}.cpuprofile`);
  await child.ask("profile-start");
  await work();
  await child.ask("profile-stop", { file });
  return [`\n${file}`, ...ownTimes(JSON.parse(readFileSync(file, "utf8")), operations)].join("\n");
}

function ownTimes({ nodes, samples, timeDeltas }: Profile, operations: number): string[] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map<string, number>();
  samples.forEach((id, nth) => {
    const place = placeOf(frames.get(id));
    times.set(place, (times.get(place) ?? 0) + (timeDeltas[nth] ?? 0));
  });
  times.delete("(idle)");
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, LINES)
    .map(([place, time]) => `${(time / operations).toFixed(2).padStart(7)} µs  ${place}`);
}

function placeOf(frame: CallFrame | undefined): string {
  if (frame === undefined) return "?";
  const { functionName, url, lineNumber } = frame;
  const file = url.split("/").slice(-2).join("/");
  return url === "" ? functionName : `${functionName || "(anonymous)"} ${file}:${lineNumber + 1}`;
}
