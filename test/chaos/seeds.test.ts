import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";

import { textOf } from "./checker.ts";
import { run } from "./run.ts";
import { everyTime, regressions, type Seed } from "./seeds.ts";

/** What to do next with a seed that failed, with its history in a file. */
async function verdictOf({ seed, shape, nodes }: Seed): Promise<string> {
  const { history, violations } = await run(seed, { shape, nodes });
  if (violations.length === 0) return "";
  const file = path.join(mkdtempSync(path.join(tmpdir(), "gatehouse-chaos-")), `${shape}-${seed}.jsonl`);
  writeFileSync(file, history.toText());
  const again = `npm run chaos -- --seeds 1 --from ${seed} --shape ${shape} --nodes ${nodes}`;
  return `${textOf(violations)}\nhistory: ${file}\nagain: ${again}`;
}

/** Side by side: mostly they wait. */
describe.concurrent("under faults that a seed decides, every promise is kept:", () => {
  for (const seed of [...regressions, ...everyTime]) {
    it(`${seed.shape}, ${seed.nodes} nodes, seed ${seed.seed}`, async () => {
      expect(await verdictOf(seed)).toBe("");
    }, 180_000);
  }
});
