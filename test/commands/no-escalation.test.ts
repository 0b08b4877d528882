import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";

import type { Policy } from "../../protocol/policy.ts";
import type { User, UserState } from "../../src/auth/model.ts";
import { isActive } from "../../src/auth/users/account-status.ts";
import { anyPolicy, grantsOf } from "../auth/permissions/policies.ts";
import { type Entered, type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

let gateway: SocketGateway;
let owner: User;
let admin: User;
let asAdmin: Entered;
beforeAll(async () => {
  gateway = await startSocketGateway({ authority: { approvals: { approvers: "administrators" } } });
  owner = await gateway.owner();
  admin = await gateway.authority.users.create({ name: "Adam", groupIds: ["system-admin"] });
  asAdmin = await gateway.enter(admin);
});
afterAll(() => gateway?.stop());

const namespaces = [
  "config/auth",
  "gatehouse/users",
  "gatehouse/approvals",
  "gatehouse/groups",
  "gatehouse/revoke",
];

/** Who there is: the delegate first. Numbers in commands stand for users and groups, in the order in which they came. */
interface World {
  readonly users: User[];
  readonly groups: string[];
  readonly before: ReadonlyMap<string, ReadonlySet<string>>;
  readonly as: Entered;
}

type Plan = (world: World) => Promise<readonly [type: string, fields: object]>;

const index = fc.nat({ max: 9 });
const of = <Item>(list: readonly Item[], place: number): Item => list[place % list.length] as Item;
const policy = anyPolicy.map(({ commands: _, ...rest }): Policy => rest);
const groupList = fc.array(index, { maxLength: 3 });

/** They come more often: they have the most ways to go wrong. */
const updates: fc.Arbitrary<Plan> = fc
  .record({
    who: index,
    groups: fc.option(groupList),
    is_active: fc.constantFrom(null, true, true, false),
    local: fc.option(fc.boolean()),
  })
  .map(
    ({ who, groups, is_active, local }): Plan =>
      async (world) => [
        "config/auth/update",
        {
          user_id: of(world.users, who).id,
          ...(groups === null ? {} : { group_ids: groups.map((each) => of(world.groups, each)) }),
          ...(is_active === null ? {} : { is_active }),
          ...(local === null ? {} : { local_only: local }),
        },
      ],
  );

const plans: fc.Arbitrary<Plan> = fc.oneof(
  { weight: 4, arbitrary: updates },
  fc.record({ groups: groupList, local_only: fc.boolean() }).map(
    ({ groups, local_only }): Plan =>
      async (world) => [
        "config/auth/create",
        { name: "New", local_only, group_ids: groups.map((each) => of(world.groups, each)) },
      ],
  ),
  index.map(
    (who): Plan =>
      async (world) => ["config/auth/delete", { user_id: of(world.users, who).id }],
  ),
  fc.record({ who: index, group: index, verb: fc.constantFrom("add", "remove") }).map(
    ({ who, group, verb }): Plan =>
      async (world) => [
        `gatehouse/groups/members/${verb}`,
        { user_id: of(world.users, who).id, group_id: of(world.groups, group) },
      ],
  ),
  policy.map(
    (given): Plan =>
      async () => ["gatehouse/groups/create", { name: "New", policy: given }],
  ),
  fc.record({ group: index, given: policy, deletes: fc.boolean() }).map(
    ({ group, given, deletes }): Plan =>
      async (world) => {
        const group_id = of(world.groups, group);
        const version = (await gateway.authority.groups.get(group_id))?.version ?? 0;
        return deletes
          ? ["gatehouse/groups/delete", { group_id, version }]
          : ["gatehouse/groups/update", { group_id, version, policy: given }];
      },
  ),
  fc.record({ who: index, groups: fc.option(groupList) }).map(
    ({ who, groups }): Plan =>
      async (world) => [
        "gatehouse/approvals/approve",
        {
          user_id: of(world.users, who).id,
          ...(groups === null ? {} : { group_ids: groups.map((each) => of(world.groups, each)) }),
        },
      ],
  ),
  index.map(
    (who): Plan =>
      async (world) => ["gatehouse/revoke", { target: { user_id: of(world.users, who).id } }],
  ),
);

/** Somebody who waits counts as active where `waiting`: the configuration has chosen their groups. */
async function rightsOf(userId: string, waiting = false): Promise<ReadonlySet<string>> {
  const { user } = (await gateway.authority.users.read(userId)) ?? {};
  if (user === undefined || !(isActive(user) || (waiting && user.state === "pending"))) return new Set();
  const groups = await Promise.all(user.groupIds.map((id) => gateway.authority.groups.get(id)));
  const granted = groups.flatMap((group) => (group === undefined ? [] : grantsOf(group.policy)));
  return new Set([...granted, ...(user.localOnly ? [] : ["from everywhere"])]);
}

async function makeWorld(
  policies: readonly Policy[],
  memberships: readonly (readonly number[])[],
): Promise<World> {
  const { groups, users } = gateway.authority;
  const commandsOf: Policy = {
    commands: { namespaces: Object.fromEntries(namespaces.map((name) => [name, true] as const)) },
  };
  const made = await Promise.all(
    [commandsOf, ...policies].map((each) => groups.create({ name: "Made", policy: each })),
  );
  const ids = made.map(({ group }) => group.id);
  const [base = ""] = ids;
  const states: readonly UserState[] = ["active", "active", "active", "deactivated", "pending"];
  const people = await Promise.all(
    states.map((state, place) =>
      users.create({
        name: "Made",
        state,
        localOnly: (memberships[place]?.length ?? 0) % 2 === 1,
        groupIds: [
          ...(place === 0 ? [base] : []),
          ...(memberships[place] ?? []).map((each) => of(ids.slice(1), each)),
        ],
      }),
    ),
  );
  const [delegate] = people;
  const pending = people.find(({ state }) => state === "pending");
  await gateway.authority.approvals.wait({
    userId: pending?.id ?? "",
    name: null,
    subject: "p",
    provider: ["command_line", null],
    clientId: null,
    clientName: null,
    address: null,
  });
  if (delegate === undefined) throw new Error("nobody was made");
  const all = [...people, admin, owner];
  const before = new Map(
    await Promise.all(all.map(async ({ id }) => [id, await rightsOf(id, true)] as const)),
  );
  return {
    users: all,
    groups: [...ids, "system-admin", "system-users", "system-read-only"],
    before,
    as: await gateway.enter(delegate),
  };
}

/** Also takes what the answer says was made. False: the socket was closed. */
async function send(world: World, plan: Plan): Promise<boolean> {
  const [type, fields] = await plan(world);
  const closed = world.as.client.closed.then(() => undefined);
  const answer = await Promise.race([world.as.client.call(type, fields).catch(() => undefined), closed]);
  if (answer === undefined) return false;
  const { result } = answer;
  const { group_id, user } = (result ?? {}) as {
    readonly group_id?: string;
    readonly user?: { readonly id: string };
  };
  if (type === "gatehouse/groups/create" && group_id !== undefined) world.groups.push(group_id);
  const found =
    type === "config/auth/create" && user !== undefined && (await gateway.authority.users.read(user.id));
  if (found) world.users.push(found.user);
  return true;
}

it("no sequence of commands by somebody who is no administrator gives anybody more than the sender had", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(policy, { minLength: 3, maxLength: 3 }),
      fc.array(groupList, { minLength: 5, maxLength: 5 }),
      fc.array(plans, { minLength: 5, maxLength: 15 }),
      async (policies, memberships, steps) => {
        const world = await makeWorld(policies, memberships);
        const [delegate] = world.users;
        const limit = world.before.get(delegate?.id ?? "") ?? new Set();
        for (const step of steps) {
          // The delegate may end their own sessions.
          if (!(await send(world, step))) break;
        }
        for (const { id } of world.users) {
          const before = world.before.get(id) ?? new Set();
          for (const right of await rightsOf(id)) {
            const had = id === delegate?.id ? limit.has(right) : before.has(right) || limit.has(right);
            expect([right, had]).toEqual([right, true]);
          }
        }
        for (const { id, groupIds } of [admin, owner])
          expect((await gateway.authority.users.read(id))?.user.groupIds).toEqual(groupIds);
        const administrators = (await gateway.authority.users.list()).filter(({ groupIds }) =>
          groupIds.includes("system-admin"),
        );
        expect(administrators.map(({ id }) => id).sort()).toEqual([admin.id, owner.id].sort());
        expect(await asAdmin.client.call("ping")).toMatchObject({ type: "pong" });
        const made = (await gateway.authority.groups.list()).filter(
          ({ systemGenerated }) => !systemGenerated,
        );
        for (const { id, version } of made) await gateway.authority.groups.delete(id, version);
      },
    ),
    { numRuns: 80 },
  );
});
