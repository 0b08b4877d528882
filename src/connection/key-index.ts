import { type Numbered, NumberedList } from "./numbered-list.ts";

/** Members by a key that several may share, and of each key in the order of their numbers. */
export class KeyIndex<Member extends Numbered> {
  readonly #lists = new Map<string, NumberedList<Member>>();

  get keys(): number {
    return this.#lists.size;
  }

  /** Its number is above those of all that were added before. */
  add(key: string, member: Member): void {
    let list = this.#lists.get(key);
    if (list === undefined) {
      list = new NumberedList();
      this.#lists.set(key, list);
    }
    list.add(member);
  }

  /** Does nothing if it is not here. */
  remove(key: string, member: Member): void {
    const list = this.#lists.get(key);
    if (list?.remove(member) === true && list.size === 0) this.#lists.delete(key);
  }

  has(key: string): boolean {
    return this.#lists.has(key);
  }

  size(key: string): number {
    return this.#lists.get(key)?.size ?? 0;
  }

  get(key: string): NumberedList<Member> | undefined {
    return this.#lists.get(key);
  }

  /** A copy, because members leave during the iteration. */
  of(key: string): readonly Member[] {
    return this.#lists.get(key)?.all() ?? [];
  }
}
