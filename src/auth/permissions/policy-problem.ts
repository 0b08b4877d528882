import { policyLimits } from "../../../protocol/policy.ts";
import {
  hasTooManyWildcards,
  isReservedTopic,
  isTopicPattern,
  topicLimits,
} from "../../../protocol/topic-pattern.ts";

/**
 * What is wrong with a policy, in words, with the path to it: the first fault only. Undefined: nothing. Says the same as the
 * schema, and refuses patterns that the schema cannot. A key that has a place in the policy is repeated if it is short and plain.
 */
export function policyProblem(policy: unknown): string | undefined {
  return policyShape(policy, "");
}

/** Looks at one value, and says what is wrong with it or with what is in it. */
type Shape = (value: unknown, path: string) => string | undefined;

const notGranted = "What is not granted is left out";

const granted: Shape = (value, path) =>
  value === true ? undefined : said(path, `only true is allowed. ${notGranted}`);

/** `true`, or an object of what `content` allows. */
function objectOrTrue(content: Shape): Shape {
  return (value, path) => {
    if (value === true) return undefined;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return content(value, path);
    return said(path, `must be an object. ${notGranted}`);
  };
}

function withKeys(shapes: Readonly<Record<string, Shape>>): Shape {
  return (value, path) => {
    for (const [key, inner] of Object.entries(value as object)) {
      if (!Object.hasOwn(shapes, key))
        return said(path, `has an unknown key. Known are ${Object.keys(shapes).join(", ")}`);
      const problem = shapes[key]?.(inner, path === "" ? key : `${path}.${key}`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

/** `keyProblem` says what is wrong with a key. */
function map(keyProblem: (key: string) => string | undefined, valueShape: Shape): Shape {
  return objectOrTrue((value, path) => {
    const entries = Object.entries(value as object);
    if (entries.length > policyLimits.keys) return said(path, `has more than ${policyLimits.keys} keys`);
    for (const [key, inner] of entries) {
      const wrong = keyProblem(key);
      if (wrong !== undefined) return said(path, `the key${named(key)} ${wrong}`);
      const problem = valueShape(inner, `${path}.${shownKey(key) ?? "…"}`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  });
}

const verbs = objectOrTrue(withKeys({ read: granted, control: granted, edit: granted }));
const byId = map(
  (key) => (key.length >= 1 && key.length <= 255 ? undefined : "must have 1 to 255 characters"),
  verbs,
);
const patterns = map((key) => {
  if (!isTopicPattern(key))
    return (
      "is no pattern over topics: the segment + is any one segment, # stands at the end only, and there are at most " +
      `${topicLimits.segments} segments and ${topicLimits.length} characters`
    );
  if (hasTooManyWildcards(key)) return `has more than ${topicLimits.wildcards} segments +`;
  return isReservedTopic(key) ? "begins with $: such topics are the gateway's own" : undefined;
}, verbs);
const namespaces = map(
  (key) =>
    /^[a-z_]{1,32}(?:\/[a-z_]{1,32}){0,5}$/.test(key)
      ? undefined
      : "is no namespace: that is the type of a command or its first segments, such as gatehouse/users",
  granted,
);

const content = withKeys({
  entities: objectOrTrue(
    withKeys({ all: verbs, area_ids: byId, device_ids: byId, domains: byId, entity_ids: byId }),
  ),
  topics: objectOrTrue(withKeys({ all: verbs, patterns })),
  commands: objectOrTrue(withKeys({ namespaces })),
});
const policyShape: Shape = (value, path) =>
  value === true ? said(path, "must be an object") : objectOrTrue(content)(value, path);

function said(path: string, problem: string): string {
  return `${path === "" ? "" : `${path}: `}${problem}.`;
}

function named(key: string): string {
  const shown = shownKey(key);
  return shown === undefined ? "" : ` ${shown}`;
}

/** Undefined for a key that is long, or has other characters than names and patterns have. */
function shownKey(key: string): string | undefined {
  return /^[\w.$+#/-]{1,64}$/.test(key) ? key : undefined;
}
