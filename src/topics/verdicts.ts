import type { Permissions } from "../auth/permissions/permissions.ts";

/** Verdicts that are remembered of each permissions. Beyond it they are made anew. */
const capacity = 2_048;

interface Known {
  readonly topics: Map<string, boolean>;
  readonly patterns: Map<string, boolean>;
}

/** Remembers what permissions said. They are immutable, so a verdict holds as long as they do. */
export class Verdicts {
  readonly #known = new WeakMap<Permissions, Known>();

  mayRead(permissions: Permissions, topic: string): boolean {
    return remembered(this.#of(permissions).topics, topic, () => permissions.mayUseTopic(topic, "read"));
  }

  mayReadSomeOf(permissions: Permissions, pattern: string): boolean {
    return remembered(this.#of(permissions).patterns, pattern, () =>
      permissions.mayUseSomeOf(pattern, "read"),
    );
  }

  #of(permissions: Permissions): Known {
    let known = this.#known.get(permissions);
    if (known === undefined) {
      known = { topics: new Map(), patterns: new Map() };
      this.#known.set(permissions, known);
    }
    return known;
  }
}

function remembered(verdicts: Map<string, boolean>, key: string, judge: () => boolean): boolean {
  const known = verdicts.get(key);
  if (known !== undefined) return known;
  if (verdicts.size >= capacity) verdicts.clear();
  const verdict = judge();
  verdicts.set(key, verdict);
  return verdict;
}
