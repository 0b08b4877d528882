import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Random } from "../chaos/random.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { crash, syncPoints } from "./power-loss/crash.ts";
import { type Recorded, record } from "./power-loss/recording.ts";
import { recover, recoverApart } from "./power-loss/recovery.ts";

const commits = 150;
const seeds = 2;

describe("an embedded store after a power failure", () => {
  let folder: TemporaryFolder;
  let recorded: readonly Recorded[];
  const crashed = () => path.join(folder.path, "crashed");
  beforeAll(async () => {
    folder = temporaryFolder();
    recorded = await record(folder.path, commits);
  });
  afterAll(() => folder.remove());

  it("has lost nothing that was acknowledged, at every sync point, and is a prefix of the commits", async () => {
    const points = syncPoints(recorded);
    const syncs = recorded.filter(({ kind }) => kind === "sync").length;
    expect(syncs).toBeGreaterThan(commits / 6);
    expect(points.length).toBeGreaterThan(syncs * 2);
    const problems: string[] = [];
    for (const at of points) {
      for (let seed = 0; seed < seeds; seed += 1) {
        const left = crash(recorded, at, new Random(at * seeds + seed), { syncs: true });
        const problem = await recover(crashed(), left);
        if (problem !== undefined) problems.push(`${at}, ${seed}: ${problem}`);
      }
    }
    expect(problems).toEqual([]);
  });

  it("would have lost something on a disk that does not sync: the test above can fail", async () => {
    const points = syncPoints(recorded);
    const late = [0.6, 0.7, 0.8, 0.9].map((share) => points[Math.floor(points.length * share)] ?? 0);
    const problems = await Promise.all(
      late.map((at) =>
        recoverApart(`${crashed()}-${at}`, crash(recorded, at, new Random(at), { syncs: false })),
      ),
    );
    expect(problems.filter((problem) => problem !== undefined)).toHaveLength(late.length);
  });
});
