import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";

import { textOf } from "./checker.ts";
import { run } from "./run.ts";
import { everyTime, regressions, type Seed } from "./seeds.ts";

/** How to repeat a failed seed, with its history in a file. */
async function verdictOf(one: Seed): Promise<string> {
  const { seed, shape, nodes } = one;
  const { history, violations, output } = await run(seed, one);
  if (violations.length === 0) return "";
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-chaos-"));
  const file = path.join(folder, `${shape}-${seed}.jsonl`);
  writeFileSync(file, history.toText());
  writeFileSync(path.join(folder, `${shape}-${seed}.log`), output);
  const again = `npm run chaos -- --seeds 1 --from ${seed} --shape ${shape} --nodes ${nodes}`;
  return `${textOf(violations)}\nhistory: ${file}\nagain: ${again}`;
}

/** In parallel: they mostly wait. */
describe.concurrent("under faults that a seed determines, every promise is kept:", () => {
  for (const one of everyTime) {
    it(`${one.shape}, ${one.nodes} nodes, seed ${one.seed}`, async () => {
      expect(await verdictOf(one)).toBe("");
    });
  }
  for (const one of regressions) {
    it(`what ${one.shape} seed ${one.seed} once found`, async () => {
      expect(await verdictOf(one)).toBe("");
    });
  }
});
