import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Hub, HubMember } from "../../src/connection/hub.ts";
import { liveConnectionOf, NodePresence } from "../../src/presence/presence.ts";
import type {
  LiveConnection,
  PresenceChanges,
  PresenceDirectory,
  PresenceQuery,
} from "../../src/presence/presence-directory.ts";
import { principalOf } from "../support/people.ts";
import { testHub } from "../support/test-hub.ts";
import { within } from "../support/within.ts";

export interface PresenceBackend {
  /** A new node with this id and these connections. */
  node(id: string, hub: Hub): PresenceDirectory;
  dispose(): Promise<void>;
}

/** A connection of a node, of which only what presence reads is real. */
export function memberOf(
  number: number,
  about: { readonly userId?: string; readonly sessionId?: string; readonly clientId?: string } = {},
  address: string | null = "192.0.2.1",
): HubMember {
  return {
    principal: principalOf(about),
    peer: { address },
    number,
    since: 1_700_000_000_000 + number,
    cut: () => false,
    endChanged: () => undefined,
  };
}

/** Follows a directory and keeps what is told. */
export class PresenceEar {
  readonly present = new Map<string, LiveConnection>();
  gaps = 0;
  readonly end: () => void;
  #waiting: (() => void)[] = [];

  constructor(directory: PresenceDirectory) {
    this.end = directory.watch({
      onChanges: (changes) => this.#apply(changes),
      onGap: () => {
        this.gaps += 1;
        this.#wake();
      },
    });
  }

  async until(holds: () => boolean, what: string): Promise<void> {
    while (!holds()) await within(new Promise<void>((resolve) => this.#waiting.push(resolve)), what);
  }

  #apply({ joined, left }: PresenceChanges): void {
    for (const each of joined) this.present.set(each.id, each);
    for (const each of left) this.present.delete(each.id);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Every page of the list, one after the other. */
export async function listAll(
  directory: PresenceDirectory,
  query: PresenceQuery = {},
  limit = 100,
): Promise<readonly LiveConnection[]> {
  const all: LiveConnection[] = [];
  let after: string | undefined;
  do {
    const page = await directory.page(query, { after, limit });
    expect(page.connections.length).toBeLessThanOrEqual(limit);
    all.push(...page.connections);
    after = page.next;
  } while (after !== undefined);
  return all;
}

/** What every adapter of the presence list guarantees. */
export function presenceContract(name: string, create: () => Promise<PresenceBackend>): void {
  describe(`presence contract: ${name}`, () => {
    const node = "a".repeat(32);
    let backend: PresenceBackend;
    let directory: PresenceDirectory;
    let hub: Hub;

    beforeEach(async () => {
      backend = await create();
      hub = testHub();
      directory = backend.node(node, hub);
    });
    afterEach(async () => {
      await directory.close();
      await backend.dispose();
    });

    const connection = (member: HubMember) => liveConnectionOf(member, node);
    async function write(joined: readonly HubMember[], left: readonly HubMember[] = []) {
      for (const member of joined) hub.add(member);
      for (const member of left) hub.remove(member);
      expect(
        await directory.write({
          joined: joined.map(connection),
          left: left.map(connection),
          renewed: [],
        }),
      ).toBe("written");
    }

    it("lists what was written, and not what left", async () => {
      const [first, second] = [memberOf(1), memberOf(2, {}, null)];
      await write([first, second]);
      expect(await listAll(directory)).toEqual([connection(first), connection(second)]);
      await write([], [first]);
      expect(await listAll(directory)).toEqual([connection(second)]);
    });

    it("gives pages in the order of ids, each connection once", async () => {
      const many = Array.from({ length: 1_203 }, (_, place) => memberOf(place + 1));
      for (let from = 0; from < many.length; from += 500) await write(many.slice(from, from + 500));
      const listed = await listAll(directory, {}, 100);
      expect(listed.map(({ id }) => id)).toEqual(many.map((member) => connection(member).id));
    });

    it.each([
      ["user", { userId: "u1" }, [1, 2, 4]],
      ["session", { sessionId: "s2" }, [2]],
      ["client", { clientId: "https://one.example.org/" }, [1, 3]],
      ["address", { address: "192.0.2.9" }, [3]],
      ["node", { node }, [1, 2, 3, 4]],
      ["another node", { node: "b".repeat(32) }, []],
      ["user and client", { userId: "u1", clientId: "https://one.example.org/" }, [1]],
      ["nobody", { userId: "u9" }, []],
    ])("narrows by %s", async (_, query, expected) => {
      await write([
        memberOf(1, { userId: "u1", sessionId: "s1", clientId: "https://one.example.org/" }),
        memberOf(2, { userId: "u1", sessionId: "s2", clientId: "https://two.example.org/" }),
        memberOf(3, { userId: "u2", sessionId: "s3", clientId: "https://one.example.org/" }, "192.0.2.9"),
        memberOf(4, { userId: "u1", sessionId: "s4", clientId: "https://two.example.org/" }),
      ]);
      const listed = await listAll(directory, query, 2);
      expect(listed.map(({ since }) => since - 1_700_000_000_000)).toEqual(expected);
    });

    it("tells a watcher of what comes and goes, after it has said from when on", async () => {
      const ear = new PresenceEar(directory);
      await ear.until(() => ear.gaps > 0, "the watch has begun");
      const [first, second] = [memberOf(1), memberOf(2, { clientId: `https://${"x".repeat(2000)}/` })];
      await write([first, second]);
      await ear.until(() => ear.present.size === 2, "both joined");
      expect([...ear.present.values()]).toEqual([connection(first), connection(second)]);
      await write([], [first]);
      await ear.until(() => ear.present.size === 1, "one left");
      ear.end();
    });

    it("renews without telling", async () => {
      const [first, second] = [memberOf(1), memberOf(2)];
      await write([first]);
      const ear = new PresenceEar(directory);
      await ear.until(() => ear.gaps > 0, "the watch has begun");
      await directory.write({ joined: [], left: [], renewed: [connection(first)] });
      await write([second]);
      await ear.until(() => ear.present.size > 0, "the second joined");
      expect([...ear.present.keys()]).toEqual([connection(second).id]);
      expect(await listAll(directory)).toHaveLength(2);
      ear.end();
    });

    it("writes a node's connections as they come and go", async () => {
      const presence = new NodePresence({ directory, node, members: () => hub.members() });
      const ear = new PresenceEar(directory);
      await ear.until(() => ear.gaps > 0, "the watch has begun");
      presence.start();
      const [first, second] = [memberOf(1), memberOf(2)];
      for (const member of [first, second]) {
        hub.add(member);
        presence.entered(member);
      }
      await ear.until(() => ear.present.size === 2, "both joined");
      hub.remove(first);
      presence.left(first);
      await ear.until(() => ear.present.size === 1, "one left");
      expect(await listAll(directory)).toEqual([connection(second)]);
      ear.end();
      await presence.stop();
    });
  });
}
