import { describe, expect, it } from "vitest";

import {
  isTopic,
  isTopicPattern,
  matchesTopic,
  patternCovers,
  patternsOverlap,
  segmentsOf,
} from "../../protocol/topic-pattern.ts";

/** Every list of at most `longest` of these segments. */
function listsOf(segments: readonly string[], longest: number): readonly (readonly string[])[] {
  let lists: (readonly string[])[] = segments.map((segment) => [segment]);
  const all = [...lists];
  for (let length = 2; length <= longest; length += 1) {
    lists = lists.flatMap((list) => segments.map((segment) => [...list, segment]));
    all.push(...lists);
  }
  return all;
}

const topics = listsOf(["a", "b"], 4);
const patterns = listsOf(["a", "b", "+", "#"], 3).filter((pattern) => isTopicPattern(pattern.join("/")));

describe("topic patterns", () => {
  it.each(["a", "home/kitchen/temperature", "ä/ö", "a b", "$x/1"])("takes the topic %j", (topic) => {
    expect(isTopic(topic)).toBe(true);
    expect(isTopicPattern(topic)).toBe(true);
  });

  it.each([
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "a+",
    "a/#",
    "+",
    "#",
    "a\nb",
    "a\u0000",
    "a\u007f",
    "a/\u0085",
    "\u009f",
    "x".repeat(257),
  ])("refuses the topic %j", (topic) => {
    expect(isTopic(topic)).toBe(false);
  });

  it.each(["#", "+", "a/+", "+/b", "a/#", "+/+/#"])("takes the pattern %j", (pattern) => {
    expect(isTopicPattern(pattern)).toBe(true);
  });

  it.each([
    "",
    "#/a",
    "a/#/b",
    "a#",
    "a/b+",
    "a//#",
    "##",
    "++",
    "+/\u007f",
    "\u0080/#",
    "a\u009f",
    `${"a/".repeat(16)}#`,
  ])("refuses the pattern %j", (pattern) => {
    expect(isTopicPattern(pattern)).toBe(false);
  });

  it("takes 16 segments and no more", () => {
    expect(isTopic(Array(16).fill("a").join("/"))).toBe(true);
    expect(isTopic(Array(17).fill("a").join("/"))).toBe(false);
    expect(isTopicPattern(Array(17).fill("+").join("/"))).toBe(false);
  });

  it.each([
    ["a/+", "a/b", true],
    ["a/+", "a", false],
    ["a/+", "a/b/c", false],
    ["a/#", "a", true],
    ["a/#", "a/b/c", true],
    ["#", "a/b", true],
    ["+", "a", true],
    ["A", "a", false],
  ])("matches %s against %s: %s", (pattern, topic, expected) => {
    expect(matchesTopic(segmentsOf(pattern), segmentsOf(topic))).toBe(expected);
  });

  it("says of two patterns what their topics say", () => {
    for (const a of patterns) {
      const ofA = topics.filter((topic) => matchesTopic(a, topic));
      for (const b of patterns) {
        const ofB = topics.filter((topic) => matchesTopic(b, topic));
        expect(patternsOverlap(a, b), `${a.join("/")} and ${b.join("/")} overlap`).toBe(
          ofA.some((topic) => ofB.includes(topic)),
        );
        if (patternCovers(a, b))
          expect(
            ofB.every((topic) => ofA.includes(topic)),
            `${a.join("/")} covers ${b.join("/")}`,
          ).toBe(true);
      }
    }
  });

  it("covers what equals it, and everything below a #", () => {
    for (const pattern of patterns) expect(patternCovers(pattern, pattern)).toBe(true);
    expect(patternCovers(["a", "#"], ["a"])).toBe(true);
    expect(patternCovers(["+", "#"], ["a", "b"])).toBe(true);
    expect(patternCovers(["a", "+"], ["a", "#"])).toBe(false);
    expect(patternCovers(["a"], ["+"])).toBe(false);
  });
});
