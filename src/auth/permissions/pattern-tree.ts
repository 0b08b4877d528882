/** Patterns over topics as one tree, so that a topic is compared with all of them at once. */
export interface PatternTree {
  readonly children: Map<string, PatternTree>;
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
  return { children: new Map(), anyChild: undefined, ends: false, hasRest: false };
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
  const known = segment === "+" ? tree.anyChild : tree.children.get(segment);
  const child = known ?? emptyTree();
  if (segment === "+") tree.anyChild = child;
  else tree.children.set(segment, child);
  return child;
}

/** Whether one of the patterns stands for the topic. */
export function treeMatches(tree: PatternTree, topic: readonly string[], from = 0): boolean {
  if (tree.hasRest) return true;
  const segment = topic[from];
  if (segment === undefined) return tree.ends;
  const child = tree.children.get(segment);
  if (child !== undefined && treeMatches(child, topic, from + 1)) return true;
  return tree.anyChild !== undefined && treeMatches(tree.anyChild, topic, from + 1);
}

/** Whether there is a topic for which each of the trees has a pattern. */
export function haveCommonTopic(trees: readonly PatternTree[]): boolean {
  // A tree with `#` here takes whatever follows.
  const open = trees.filter(({ hasRest }) => !hasRest);
  if (open.every(({ ends }) => ends)) return true;
  return nextSegments(open).some((segment) =>
    combinations(open.map((tree) => successors(tree, segment))).some(haveCommonTopic),
  );
}

/** The segments that are worth a try; undefined is one that no tree names. */
function nextSegments(trees: readonly PatternTree[]): readonly (string | undefined)[] {
  const exact = trees.filter(({ anyChild }) => anyChild === undefined);
  // Whoever has no `+` allows only what it names.
  const fewest = exact.sort((a, b) => a.children.size - b.children.size)[0];
  if (fewest !== undefined) return [...fewest.children.keys()];
  return [undefined, ...new Set(trees.flatMap(({ children }) => [...children.keys()]))];
}

function successors(tree: PatternTree, segment: string | undefined): readonly PatternTree[] {
  const child = segment === undefined ? undefined : tree.children.get(segment);
  return [child, tree.anyChild].filter((next) => next !== undefined);
}

/** One of each list, in every way. */
function combinations<Item>(lists: readonly (readonly Item[])[]): readonly (readonly Item[])[] {
  return lists.reduce<readonly (readonly Item[])[]>(
    (all, list) => all.flatMap((chosen) => list.map((item) => [...chosen, item])),
    [[]],
  );
}
