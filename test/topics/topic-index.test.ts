import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isTopicPattern } from "../../protocol/topic-pattern.ts";
import { standsFor, TopicIndex } from "../../src/topics/topic-index.ts";

const name = fc.constantFrom("a", "b", "$c");
const topics = fc.array(name, { minLength: 1, maxLength: 4 });
const patterns = fc
  .tuple(
    fc.array(fc.oneof(name, fc.constant("+")), { maxLength: 4 }),
    fc.constantFrom<readonly string[]>([], ["#"]),
  )
  .map(([segments, rest]) => [...segments, ...rest])
  .filter((segments) => isTopicPattern(segments.join("/")));

describe("index of patterns", () => {
  it("finds what comparing with every pattern finds, whatever was added and removed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(patterns, fc.boolean()), { maxLength: 40 }),
        fc.array(topics, { minLength: 1, maxLength: 10 }),
        (changes, asked) => {
          const index = new TopicIndex<string>();
          const present = new Map<string, readonly string[]>();
          for (const [pattern, isAdded] of changes) {
            const key = pattern.join("/");
            if (isAdded) {
              index.set(pattern, key);
              present.set(key, pattern);
            } else {
              index.delete(pattern);
              present.delete(key);
            }
          }
          expect(index.size).toBe(present.size);
          for (const [key, pattern] of present) expect(index.get(pattern)).toBe(key);
          for (const topic of asked) {
            const naive = [...present].filter(([, pattern]) => standsFor(pattern, topic));
            expect([...index.match(topic)].sort()).toEqual(naive.map(([key]) => key).sort());
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("hides topics that begin with $ from wildcards in the first place", () => {
    const index = new TopicIndex<string>();
    for (const pattern of ["#", "+", "+/a", "$c/#", "$c/+"]) index.set(pattern.split("/"), pattern);
    expect([...index.match(["$c", "a"])].sort()).toEqual(["$c/#", "$c/+"]);
    expect([...index.match(["c", "a"])].sort()).toEqual(["#", "+/a"]);
  });

  it("keeps nothing of patterns that are gone", () => {
    const index = new TopicIndex<number>();
    for (let n = 0; n < 100; n += 1) index.set(["a", String(n), "#"], n);
    for (let n = 0; n < 100; n += 1) index.delete(["a", String(n), "#"]);
    index.delete(["a", "unknown"]);
    expect([index.size, index.match(["a", "7"])]).toEqual([0, []]);
  });
});
