import { expect, it } from "vitest";

import { createGroupTable } from "../../../src/auth/permissions/group-table.ts";

const content = (name: string, entities = true) => ({
  name,
  policy: entities ? { entities: true as const } : {},
});

it("keeps the latest version of a group, in whatever order they come", () => {
  const table = createGroupTable();
  expect(table.apply({ id: "g", version: 5, content: content("Five", false) })).toBe(true);
  // What a store that is behind says.
  expect(table.apply({ id: "g", version: 4, content: content("Four") })).toBe(false);
  expect(table.apply({ id: "g", version: 5, content: content("Five again") })).toBe(false);
  expect(table.get("g")).toMatchObject({ name: "Five", policy: {}, version: 5 });
  expect(table.apply({ id: "g", version: 6, content: content("Six") })).toBe(true);
  expect(table.get("g")?.policy).toEqual({ entities: true });
});

it("never has a deleted group again, and no other in the place of the system's", () => {
  const table = createGroupTable();
  table.apply({ id: "g", version: 5, content: content("Five") });
  expect(table.apply({ id: "g", version: 4, content: null })).toBe(false);
  expect(table.apply({ id: "g", version: 6, content: null })).toBe(true);
  expect(table.apply({ id: "g", version: 7, content: content("Seven") })).toBe(false);
  expect([table.get("g"), table.latest("g")]).toEqual([undefined, { id: "g", version: 6, content: null }]);
  expect(table.apply({ id: "system-users", version: 9, content: content("Mine") })).toBe(false);
  expect(table.states()).toEqual([{ id: "g", version: 6, content: null }]);
});

it("gives a policy another revision only if it is another policy", () => {
  const table = createGroupTable();
  const revisionOf = (version: number, entities: boolean) => {
    table.apply({ id: "g", version, content: content("Named", entities) });
    return table.get("g")?.revision;
  };
  const first = revisionOf(1, true);
  expect([revisionOf(2, true), revisionOf(3, false) === first]).toEqual([first, false]);
});
