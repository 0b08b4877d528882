import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { open, someone, startWithOwner } from "./rollback-people.ts";
import { embeddedRig, goBack, type RollbackNode, type RollbackRig, redisRig } from "./rollback-rig.ts";

let rig: RollbackRig;
afterEach(() => rig.dispose());

async function ownersOf({ authority }: RollbackNode): Promise<readonly string[]> {
  return (await authority.users.list()).filter(({ isOwner }) => isOwner).map(({ id }) => id);
}
const transfer = ({ authority }: RollbackNode, to: string) => authority.ownership.transfer(to, null);

describe.each([
  ["Redis", redisRig],
  ["the embedded store", embeddedRig],
])("after %s went back in time", (_, makeRig) => {
  beforeEach(async () => {
    rig = await makeRig();
  });

  it("the last owner is the owner, and who owned it before has no more than that", async () => {
    const node = await startWithOwner(rig);
    const [first] = await ownersOf(node);
    const [ada, bob] = [await someone(node, "ada"), await someone(node, "bob")];
    await rig.remember();
    await transfer(node, ada);
    await transfer(node, bob);
    await node.authority.users.update(first ?? "", { groupIds: ["system-users"] });
    await goBack(rig, node);
    expect(await ownersOf(node)).toEqual([bob]);
    const { user } = (await node.authority.users.read(first ?? "")) ?? {};
    expect(user).toMatchObject({ isOwner: false, groupIds: ["system-users"] });
    // A later transfer stands, whatever was remembered.
    await transfer(node, ada);
    await rig.remember();
    await someone(node, "cleo");
    await goBack(rig, node);
    expect(await ownersOf(node)).toEqual([ada]);
  });

  it("an owner of before who was removed stays removed", async () => {
    const node = await startWithOwner(rig);
    const [first = ""] = await ownersOf(node);
    const ada = await someone(node, "ada");
    await open(node, first);
    await rig.remember();
    await transfer(node, ada);
    await node.authority.users.remove(first);
    await goBack(rig, node);
    expect(await ownersOf(node)).toEqual([ada]);
    expect(await node.authority.users.read(first)).toBeUndefined();
  });

  it("an owner whose user was lost too leaves the owner of before", async () => {
    const node = await startWithOwner(rig);
    const [first] = await ownersOf(node);
    await rig.remember();
    await transfer(node, await someone(node, "ada"));
    await goBack(rig, node);
    expect(await ownersOf(node)).toEqual([first]);
  });
});
