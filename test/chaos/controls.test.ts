import { describe, expect, it } from "vitest";

import { textOf, type Violation } from "./checker.ts";
import { type Control, controls } from "./controls.ts";
import { startDirectedRun } from "./directed-run.ts";

/** With every safeguard on, a process is the built program. */
async function played(
  { shape, processes, play }: Control,
  ...disabledSafeguards: readonly Control["protection"][]
) {
  const where = processes ? {} : { embedded: {} };
  const off = disabledSafeguards.length === 0 ? {} : { disabledSafeguards };
  const run = await startDirectedRun({ shape, nodes: 2, ...off, ...where });
  try {
    await play(run);
    return run.violations();
  } finally {
    await run.dispose();
  }
}

const properties = (found: readonly Violation[]) => found.map(({ property }) => property);

describe.concurrent("what the checker finds if a safeguard is off, and does not find if it is on:", () => {
  for (const control of controls) {
    // What it finds is a race, which a busy machine can decide the other way once or twice.
    it(`${control.protection}, off`, async () => {
      let found: readonly string[] = [];
      for (let plays = 0; plays < 3 && !found.includes(control.finds); plays += 1)
        found = properties(await played(control, control.protection, ...(control.besides ?? [])));
      expect(found).toContain(control.finds);
    });
    it(`${control.protection}, on`, async () => {
      expect(textOf(await played(control))).toBe("");
    });
  }
});
