import type { Credential } from "../../../../src/auth/model.ts";
import type { Safeguard } from "../../../../src/auth/safeguards.ts";
import { home, ownerLogin } from "../../../support/authority.ts";
import type { HandNode } from "../lease-rig.ts";
import type { RollbackNode, RollbackRig } from "./rollback-rig.ts";

const clientId = "https://one.example/";

/** A node, and an owner. */
export async function startWithOwner(
  rig: RollbackRig,
  ...protections: readonly Safeguard[]
): Promise<RollbackNode> {
  const node = await rig.start(...protections);
  const setupCode = await node.authority.onboarding.setupCode();
  await node.authority.onboarding.createOwner({ setupCode, ...ownerLogin });
  return node;
}

export async function someone({ authority }: HandNode, username: string, groupIds = ["system-users"]) {
  return (
    await authority.localLogins.createUser({
      name: username,
      username,
      password: ownerLogin.password,
      groupIds,
    })
  ).id;
}

/** The last step of a login by name and password. */
export async function logIn(
  { authority: { logins } }: HandNode,
  username: string,
  password: string = ownerLogin.password,
): Promise<string> {
  const { step, flowSecret } = await logins.start(
    {
      handler: ["homeassistant", null],
      purpose: "session",
      clientId,
      clientName: null,
      redirectUri: null,
      codeChallenge: null,
    },
    home,
  );
  const input = { username, password };
  return (await logins.advance({ flowId: step.flow_id, flowSecret, input }, home)).step.type;
}

export async function open({ authority }: HandNode, userId: string, credential: Credential | null = null) {
  const standing = await authority.users.read(userId);
  if (standing === undefined) throw new Error("no user");
  const { user, version: userVersion, epoch: userEpoch } = standing;
  return authority.sessions.open({
    user,
    userVersion,
    userEpoch,
    credential,
    clientId,
    clientName: null,
    rotates: true,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now(),
    peer: home,
  });
}
