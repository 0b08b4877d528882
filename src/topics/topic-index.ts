import { matchesTopic } from "../../protocol/topic-pattern.ts";

/**
 * Whether the topic is one of the pattern. As in MQTT 5.0 section 4.7.2, a wildcard in the first place does not stand
 * for a segment that begins with `$`.
 */
export function standsFor(pattern: readonly string[], topic: readonly string[]): boolean {
  const hidden = topic[0]?.startsWith("$") === true && pattern[0] !== topic[0];
  return !hidden && matchesTopic(pattern, topic);
}

/**
 * Entries by pattern: a tree over the patterns' segments. Finding the entries of a topic costs what its depth and the
 * wildcards in patterns demand, not the number of patterns.
 */
export class TopicIndex<Entry> {
  readonly #root = new IndexNode<Entry>();
  #size = 0;

  /** Patterns that have an entry. */
  get size(): number {
    return this.#size;
  }

  get(pattern: readonly string[]): Entry | undefined {
    let node: IndexNode<Entry> | undefined = this.#root;
    for (const segment of pattern) node = node?.child(segment);
    return node?.entry;
  }

  set(pattern: readonly string[], entry: Entry): void {
    let node = this.#root;
    for (const segment of pattern) node = node.childOrNew(segment);
    if (node.entry === undefined) this.#size += 1;
    node.entry = entry;
  }

  delete(pattern: readonly string[]): void {
    const path = [this.#root];
    for (const segment of pattern) {
      const next = path.at(-1)?.child(segment);
      if (next === undefined) return;
      path.push(next);
    }
    const last = path.at(-1);
    if (last?.entry === undefined) return;
    last.entry = undefined;
    this.#size -= 1;
    for (let depth = pattern.length; depth > 0 && path[depth]?.isEmpty === true; depth -= 1)
      path[depth - 1]?.remove(pattern[depth - 1] ?? "");
  }

  /** The entries for whose pattern `standsFor` is true. */
  match(topic: readonly string[]): readonly Entry[] {
    const found: Entry[] = [];
    collect(this.#root, topic, 0, found);
    return found;
  }
}

function collect<Entry>(
  node: IndexNode<Entry>,
  topic: readonly string[],
  depth: number,
  found: Entry[],
): void {
  const segment = topic[depth];
  const hidden = depth === 0 && segment?.startsWith("$") === true;
  const rest = hidden ? undefined : node.child("#");
  if (rest?.entry !== undefined) found.push(rest.entry);
  if (segment === undefined) {
    if (node.entry !== undefined) found.push(node.entry);
    return;
  }
  const same = node.child(segment);
  if (same !== undefined) collect(same, topic, depth + 1, found);
  const any = hidden ? undefined : node.child("+");
  if (any !== undefined) collect(any, topic, depth + 1, found);
}

class IndexNode<Entry> {
  entry: Entry | undefined;
  #children: Map<string, IndexNode<Entry>> | undefined;

  get isEmpty(): boolean {
    return this.entry === undefined && (this.#children?.size ?? 0) === 0;
  }

  child(segment: string): IndexNode<Entry> | undefined {
    return this.#children?.get(segment);
  }

  childOrNew(segment: string): IndexNode<Entry> {
    this.#children ??= new Map();
    let child = this.#children.get(segment);
    if (child === undefined) {
      child = new IndexNode();
      this.#children.set(segment, child);
    }
    return child;
  }

  remove(segment: string): void {
    this.#children?.delete(segment);
  }
}
