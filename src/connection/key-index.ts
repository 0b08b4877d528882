/** Members by a key that several may share. */
export class KeyIndex<Member> {
  readonly #sets = new Map<string, Set<Member>>();

  get keys(): number {
    return this.#sets.size;
  }

  add(key: string, member: Member): void {
    const present = this.#sets.get(key);
    if (present === undefined) this.#sets.set(key, new Set([member]));
    else present.add(member);
  }

  remove(key: string, member: Member): void {
    const present = this.#sets.get(key);
    if (present?.delete(member) === true && present.size === 0) this.#sets.delete(key);
  }

  has(key: string): boolean {
    return this.#sets.has(key);
  }

  size(key: string): number {
    return this.#sets.get(key)?.size ?? 0;
  }

  /** A copy, because members leave during the iteration. In order of `add`. */
  of(key: string): readonly Member[] {
    return [...(this.#sets.get(key) ?? [])];
  }
}
