import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { HubMember } from "../../src/connection/hub.ts";
import { LocalPresenceDirectory } from "../../src/presence/local-directory.ts";
import { connectionId } from "../../src/presence/presence.ts";
import { listAll, memberOf, presenceContract } from "../contract/presence-directory.ts";
import { testHub } from "../support/test-hub.ts";

presenceContract("in process", async () => ({
  node: (node, hub) => new LocalPresenceDirectory({ node, hub: () => hub }),
  dispose: async () => undefined,
}));

describe("a page of the directory in process", () => {
  const node = "a".repeat(32);
  const many = 10_000;

  /** A directory with many connections of one user, and how often one of them is read from now on. */
  function crowded() {
    const hub = testHub();
    const directory = new LocalPresenceDirectory({ node, hub: () => hub });
    const reads = { count: 0 };
    for (let number = 1; number <= many; number += 1) {
      const member = memberOf(number, { userId: "u1", sessionId: `s${number}` });
      hub.add(
        new Proxy(member, {
          get(target, name: keyof HubMember) {
            reads.count += 1;
            return target[name];
          },
        }),
      );
    }
    reads.count = 0;
    return { directory, reads };
  }

  it.each([
    ["everybody", {}],
    ["one user", { userId: "u1" }],
  ])("costs the same wherever it begins: %s", async (_, query) => {
    const { directory, reads } = crowded();
    const costOf = async (after: string | undefined) => {
      reads.count = 0;
      const { connections } = await directory.page(query, { after, limit: 10 });
      return { found: connections.length, cost: reads.count };
    };
    const first = await costOf(undefined);
    expect(first.found).toBe(10);
    const late = await costOf(connectionId(node, many - 20));
    expect(late.found).toBe(10);
    // A binary search asks no more of them than this.
    expect(late.cost).toBeLessThanOrEqual(first.cost + 30);
    for (const after of [connectionId(node, many), "zz", `${node}-zzz`]) {
      const behind = await costOf(after);
      expect(behind.found).toBe(0);
      expect(behind.cost).toBeLessThanOrEqual(30);
    }
    expect((await costOf("")).found).toBe(10);
  });

  it("looks at a bounded number of connections, and goes on from there", async () => {
    const { directory, reads } = crowded();
    const query = { sessionId: `s${many}` };
    const page = await directory.page(query, { after: undefined, limit: 10 });
    expect(page.connections).toEqual([]);
    expect(page.next).toBe(connectionId(node, 2_000));
    expect(reads.count).toBeLessThanOrEqual(2_000 * 3);
    expect((await listAll(directory, query)).map(({ sessionId }) => sessionId)).toEqual([`s${many}`]);
  });

  it("looks at none for another node or for a user without connections", async () => {
    const { directory, reads } = crowded();
    for (const query of [{ node: "b".repeat(32) }, { userId: "u2" }])
      expect(await directory.page(query, { after: undefined, limit: 10 })).toEqual({
        connections: [],
        next: undefined,
      });
    expect(reads.count).toBe(0);
  });

  it("leaves nobody out who is there the whole time, and shows nobody twice, while others come and go", async () => {
    const step = fc.record({
      joins: fc.nat(900),
      leaves: fc.array(fc.nat(), { maxLength: 900 }),
      limit: fc.integer({ min: 1, max: 400 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), async (steps) => {
        const hub = testHub();
        const directory = new LocalPresenceDirectory({ node, hub: () => hub });
        const present: HubMember[] = [];
        let number = 0;
        const join = () => {
          number += 1;
          const member = memberOf(number, { userId: `u${number % 3}` });
          present.push(member);
          hub.add(member);
        };
        const seen: string[] = [];
        for (let place = 0; place < 1_500; place += 1) join();
        const whole = new Set(present);
        let [after, isOver]: [string | undefined, boolean] = [undefined, false];
        for (let turn = 0; !isOver; turn += 1) {
          const { joins, leaves, limit } = steps[turn % steps.length] as (typeof steps)[number];
          const page = await directory.page({}, { after, limit });
          seen.push(...page.connections.map(({ id }) => id));
          [after, isOver] = [page.next, page.next === undefined];
          for (const each of leaves) {
            if (present.length === 0) break;
            const [gone] = present.splice(each % present.length, 1) as [HubMember];
            whole.delete(gone);
            hub.remove(gone);
          }
          // Later turns add none, so that the list ends.
          if (turn < steps.length) for (let place = 0; place < joins; place += 1) join();
        }
        expect(new Set(seen).size).toBe(seen.length);
        const idsOf = (members: Iterable<HubMember>) =>
          [...members].map((member) => connectionId(node, member.number));
        expect(idsOf(whole).filter((id) => !seen.includes(id))).toEqual([]);
        expect((await listAll(directory)).map(({ id }) => id)).toEqual(idsOf(present));
        const ofOne = present.filter(({ principal }) => principal.userId === "u1");
        expect((await listAll(directory, { userId: "u1" })).map(({ id }) => id)).toEqual(idsOf(ofOne));
      }),
      { numRuns: 30 },
    );
  });
});
