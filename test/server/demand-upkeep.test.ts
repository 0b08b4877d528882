import { expect, it } from "vitest";

import { recordKeys } from "../../src/auth/record-keys.ts";
import { startDemandUpkeep } from "../../src/server/demand-upkeep.ts";
import { enrolledUser, passwordSession } from "../auth/factors/factor-people.ts";
import { home, startAuthority } from "../support/authority.ts";
import { eventually } from "../support/eventually.ts";
import { quietLog } from "../support/quiet-log.ts";

it("ends what a change that was cut short has left below what is demanded, and nothing else", async () => {
  const node = await startAuthority();
  await node.owner();
  const { user } = await node.user("ann");
  const { user: other } = await node.user("ben");
  await node.authority.users.update(other.id, { groupIds: ["system-read-only"] });
  const [left, theirs] = [await passwordSession(node, "ann"), await passwordSession(node, "ben")];
  const enrolled = await enrolledUser(node, "cat");
  const members = () => [left, theirs, enrolled].map(({ principal }) => ({ principal })) as never;
  const { secondFactors, authentication } = node.authority;
  const upkeep = startDemandUpkeep({ secondFactors, hub: { members }, log: quietLog, everyMs: 20 });
  const isServed = async ({ grant }: typeof left) =>
    (await authentication.authenticate(grant.access_token, home)).ok;
  // As a node leaves it that stopped between the demand and the end of the sessions.
  await node.store.commit({ put: [{ key: recordKeys.factorDemands, value: { groups: ["system-users"] } }] });
  const { sessions } = node.authority;
  await eventually("the session has ended", async () => (await sessions.list(user.id)).length === 0);
  upkeep.stop();
  expect(await Promise.all([left, theirs, enrolled].map(isServed))).toEqual([false, true, true]);
  await node.stop();
});
