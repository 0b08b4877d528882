import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";

import { LineBatch } from "../../src/observability/line-batch.ts";

function reader() {
  const handed: Uint8Array[] = [];
  return { handed, batch: new LineBatch((lines) => handed.push(lines)) };
}

const text = (lines: readonly Uint8Array[]) => lines.map((each) => Buffer.from(each).toString()).join("");

describe("a batch of lines", () => {
  it("hands on what came, in order, and nothing twice", () => {
    const { handed, batch } = reader();
    batch.add("a\n");
    batch.add("é€😀\n");
    expect(handed).toHaveLength(0);
    batch.hand();
    batch.hand();
    expect(text(handed)).toBe("a\né€😀\n");
    expect(handed).toHaveLength(1);
  });

  it("hands on by itself before long", async () => {
    const { handed, batch } = reader();
    batch.add("a\n");
    const until = Date.now() + 5000;
    while (handed.length === 0 && Date.now() < until) await delay(10);
    expect(text(handed)).toBe("a\n");
  });

  it("does not touch what is not written yet, however much follows", () => {
    const { handed, batch } = reader();
    const lines = Array.from({ length: 2000 }, (_, nth) => `${nth} ${"x".repeat(nth)}\n`);
    for (const line of lines) batch.add(line);
    batch.hand();
    expect(handed.length).toBeGreaterThan(4);
    expect(text(handed)).toBe(lines.join(""));
  });

  it("keeps no more memory for what waits than it has bytes", () => {
    const { handed, batch } = reader();
    for (let nth = 0; nth < 100; nth += 1) {
      batch.add("a\n");
      batch.hand();
    }
    const [, ...copies] = handed;
    expect(copies.every(({ byteLength, buffer }) => byteLength === 2 && buffer.byteLength <= 8192)).toBe(
      true,
    );
  });

  it("fills the same memory again once it is written", () => {
    const { handed, batch } = reader();
    for (let nth = 0; nth < 10; nth += 1) {
      batch.add(`${nth}\n`);
      batch.hand();
      expect(text(handed.slice(-1))).toBe(`${nth}\n`);
      batch.taken();
    }
    expect(new Set(handed.map(({ buffer }) => buffer)).size).toBe(2);
  });

  it("hands on a line that is larger than a batch, after those before it", () => {
    const { handed, batch } = reader();
    const huge = `${"€".repeat(100_000)}\n`;
    batch.add("before\n");
    batch.add(huge);
    batch.add("after\n");
    batch.hand();
    expect(text(handed)).toBe(`before\n${huge}after\n`);
  });
});
