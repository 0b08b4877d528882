/** Members by key. Most keys have one member, which then costs no set of its own. */
export class MemberIndex<Member extends object> {
  readonly #members = new Map<string, Member | Set<Member>>();

  get keys(): number {
    return this.#members.size;
  }

  add(key: string, member: Member): void {
    const present = this.#members.get(key);
    if (present === undefined) this.#members.set(key, member);
    else if (present instanceof Set) present.add(member);
    else if (present !== member) this.#members.set(key, new Set([present, member]));
  }

  remove(key: string, member: Member): void {
    const present = this.#members.get(key);
    if (present === member) this.#members.delete(key);
    else if (present instanceof Set && present.delete(member) && present.size === 0)
      this.#members.delete(key);
  }

  has(key: string): boolean {
    return this.#members.has(key);
  }

  *all(): Iterable<Member> {
    for (const present of this.#members.values()) {
      if (present instanceof Set) yield* present;
      else yield present;
    }
  }

  /** A copy: members may leave while it is walked. */
  of(key: string): readonly Member[] {
    const present = this.#members.get(key);
    if (present === undefined) return [];
    return present instanceof Set ? [...present] : [present];
  }
}
