/**
 * Names of topics and patterns over them. A topic is 1 to 16 segments with `/` between them, at most 256 characters.
 * A pattern is a topic in which a segment may be `+` (any one segment) and the last may be `#` (any number of further
 * segments, also none), as in MQTT 5.0 section 4.7.1. Segments are compared exactly: case counts. The pattern of a
 * subscription or of a policy has at most `wildcards` segments `+`, which bounds what finding the subscriptions of a topic,
 * and comparing patterns with each other, costs.
 */
export const topicLimits = { length: 256, segments: 16, wildcards: 4 } as const;

/** JSON Schema's form of `isTopic`, but for the number of segments. */
export const topicShape =
  "^[^/+#\\u0000-\\u001f\\u007f-\\u009f]{1,256}(?:/[^/+#\\u0000-\\u001f\\u007f-\\u009f]{1,256}){0,15}$";
/** JSON Schema's form of `isTopicPattern`. */
export const topicPatternShape =
  "^(?:#|(?:\\+|[^/+#\\u0000-\\u001f\\u007f-\\u009f]{1,256})(?:/(?:\\+|[^/+#\\u0000-\\u001f\\u007f-\\u009f]{1,256})){0,15}(?:/#)?)$";

const topicRegex = new RegExp(topicShape, "u");
const patternRegex = new RegExp(topicPatternShape, "u");

export function isTopic(text: string): boolean {
  return text.length <= topicLimits.length && topicRegex.test(text);
}

export function isTopicPattern(text: string): boolean {
  return (
    text.length <= topicLimits.length &&
    patternRegex.test(text) &&
    segmentsOf(text).length <= topicLimits.segments
  );
}

/** Topics that begin with `$` are the gateway's own: nobody publishes or subscribes to them. */
export function isReservedTopic(topicOrPattern: string): boolean {
  return topicOrPattern.startsWith("$");
}

export function segmentsOf(topicOrPattern: string): readonly string[] {
  return topicOrPattern.split("/");
}

export function hasTooManyWildcards(pattern: string): boolean {
  return segmentsOf(pattern).filter((segment) => segment === "+").length > topicLimits.wildcards;
}

/** Whether the topic is one of those that the pattern stands for. */
export function matchesTopic(pattern: readonly string[], topic: readonly string[]): boolean {
  for (const [place, segment] of pattern.entries()) {
    if (segment === "#") return true;
    if (place >= topic.length || (segment !== "+" && segment !== topic[place])) return false;
  }
  return pattern.length === topic.length;
}

/** Whether there is a topic that both patterns stand for. */
export function patternsOverlap(a: readonly string[], b: readonly string[]): boolean {
  for (let place = 0; ; place += 1) {
    const [left, right] = [a[place], b[place]];
    if (left === "#" || right === "#") return true;
    if (left === undefined || right === undefined) return left === right;
    if (left !== "+" && right !== "+" && left !== right) return false;
  }
}

/** Whether the first pattern stands for every topic that the second stands for. */
export function patternCovers(outer: readonly string[], inner: readonly string[]): boolean {
  for (let place = 0; ; place += 1) {
    const [left, right] = [outer[place], inner[place]];
    if (left === "#") return true;
    if (left === undefined || right === undefined) return left === right;
    if (right === "#" || (left !== "+" && left !== right)) return false;
  }
}
