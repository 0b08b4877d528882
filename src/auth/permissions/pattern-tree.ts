/** Patterns over topics as one tree, so that a topic is compared with all of them at once. */
export interface PatternTree {
  /** Undefined: none. Most parts of a tree have one child or none, and an empty map costs more than all the rest. */
  children: Map<string, PatternTree> | undefined;
  /** What follows `+`. */
  anyChild: PatternTree | undefined;
  /** A pattern ends here, or ends here in `#`. */
  ends: boolean;
  hasRest: boolean;
}

export function patternTree(patterns: Iterable<readonly string[]>): PatternTree {
  const root = emptyTree();
  for (const pattern of patterns) insert(root, pattern);
  return root;
}

function emptyTree(): PatternTree {
  return { children: undefined, anyChild: undefined, ends: false, hasRest: false };
}

function insert(root: PatternTree, pattern: readonly string[]): void {
  let at = root;
  for (const segment of pattern) {
    if (segment === "#") {
      at.hasRest = true;
      return;
    }
    at = childFor(at, segment);
  }
  at.ends = true;
}

function childFor(tree: PatternTree, segment: string): PatternTree {
  const known = segment === "+" ? tree.anyChild : tree.children?.get(segment);
  if (known !== undefined) return known;
  const child = emptyTree();
  if (segment === "+") tree.anyChild = child;
  else {
    tree.children ??= new Map();
    tree.children.set(segment, child);
  }
  return child;
}

/** Whether one of the patterns stands for the topic. Of a pattern: whether it stands for all of its topics. */
export function treeMatches(tree: PatternTree, topic: readonly string[], from = 0): boolean {
  if (tree.hasRest) return true;
  const segment = topic[from];
  if (segment === undefined) return tree.ends;
  if (segment === "#") return false;
  const child = tree.children?.get(segment);
  if (child !== undefined && treeMatches(child, topic, from + 1)) return true;
  return tree.anyChild !== undefined && treeMatches(tree.anyChild, topic, from + 1);
}

/** What a search for a common topic may still cost. Each segment that is tried is a step. */
export interface StepBudget {
  left: number;
}

export function stepBudget(): StepBudget {
  return { left: 2_000 };
}

/**
 * Whether there is a topic for which each of the trees has a pattern. No also if that is not found out within the budget:
 * trees with many `+` have as many pairs of branches as the product of their sizes.
 */
export function haveCommonTopic(trees: readonly PatternTree[], budget: StepBudget = stepBudget()): boolean {
  // A tree with `#` here takes whatever follows.
  const open = trees.filter(({ hasRest }) => !hasRest);
  if (open.length <= 1) return open.every(hasPatterns);
  if (open.every(({ ends }) => ends)) return true;
  for (const segment of nextSegments(open)) {
    if (budget.left <= 0) return false;
    budget.left -= 1;
    if (successors(open, segment).some((next) => haveCommonTopic(next, budget))) return true;
  }
  return false;
}

/** Only a root can be without. */
function hasPatterns({ ends, children, anyChild }: PatternTree): boolean {
  return ends || children !== undefined || anyChild !== undefined;
}

/** The segments that are worth a try; undefined is one that no tree names. */
function nextSegments(trees: readonly PatternTree[]): Iterable<string | undefined> {
  const exact = trees.filter(({ anyChild }) => anyChild === undefined);
  // Whoever has no `+` allows only what it names.
  const fewest = exact.sort((a, b) => sizeOf(a) - sizeOf(b))[0];
  if (fewest !== undefined) return fewest.children?.keys() ?? [];
  return [undefined, ...new Set(trees.flatMap(({ children }) => [...(children?.keys() ?? [])]))];
}

function sizeOf({ children }: PatternTree): number {
  return children?.size ?? 0;
}

/** A segment that some tree names leaves out the way along `+` alone: that is tried once, and not again for each name. */
function successors(
  trees: readonly PatternTree[],
  segment: string | undefined,
): readonly (readonly PatternTree[])[] {
  const named = segment === undefined ? [] : trees.map(({ children }) => children?.get(segment));
  const ways = trees.map(({ anyChild }, at) => [named[at], anyChild].filter((next) => next !== undefined));
  if (ways.some((nexts) => nexts.length === 0)) return [];
  return combinations(ways).filter(
    (nexts) => segment === undefined || nexts.some((next, at) => next !== trees[at]?.anyChild),
  );
}

/** One of each list, in every way. */
function combinations<Item>(lists: readonly (readonly Item[])[]): readonly (readonly Item[])[] {
  return lists.reduce<readonly (readonly Item[])[]>(
    (all, list) => all.flatMap((chosen) => list.map((item) => [...chosen, item])),
    [[]],
  );
}
