import { describe, expect, it } from "vitest";

import { Disposables } from "../../src/connection/disposables.ts";

function setUp() {
  const [disposed, failed]: [string[], object[]] = [[], []];
  const note = (fields: object) => void failed.push(fields);
  const disposables = new Disposables({ info: note, warn: note, error: note });
  const add = (id: number, name: string) => disposables.add(id, () => void disposed.push(name));
  return { disposables, disposed, failed, add };
}

describe("what a session acquired", () => {
  it("is disposed once, by its id", () => {
    const { disposables, disposed, add } = setUp();
    add(1, "one");
    add(2, "two");
    expect([disposables.dispose(1), disposables.dispose(1), disposables.dispose(3)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([disposed, disposables.size]).toEqual([["one"], 1]);
  });

  it("counts a place that is reserved, and once only if it is taken", () => {
    const { disposables, add } = setUp();
    disposables.reserve(1);
    disposables.reserve(2);
    expect(disposables.size).toBe(2);
    add(1, "one");
    expect(disposables.size).toBe(2);
    disposables.release(1);
    disposables.release(2);
    expect(disposables.size).toBe(1);
  });

  it("keeps the first of two with one id, and disposes of the second at once", () => {
    const { disposables, disposed, add } = setUp();
    add(1, "first");
    add(1, "second");
    expect(disposed).toEqual(["second"]);
    disposables.close();
    expect(disposed).toEqual(["second", "first"]);
  });

  it("is disposed at the close, whatever fails, and at once after it", () => {
    const { disposables, disposed, failed, add } = setUp();
    disposables.add(1, () => {
      throw new Error("this one fails");
    });
    add(2, "two");
    disposables.close();
    add(3, "late");
    expect([disposed, failed.length, disposables.size]).toEqual([["two", "late"], 1, 0]);
  });
});
