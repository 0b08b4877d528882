import { type Static, Type } from "typebox";

import { Policy } from "../policy.ts";
import { Cursor, command, Name, OpaqueId, PageFields } from "./define.ts";
import { RevocationState } from "./revoke.ts";

/** The number of the commit that wrote the group; 0 for a group of the system. */
const Version = Type.Integer({
  minimum: 0,
  description: "The version of the group that the sender has seen.",
});
const Wait = Type.Optional(
  Type.Boolean({ default: false, description: "Answer once every node applied it, or after 60 s." }),
);

const Summary = {
  group_id: OpaqueId,
  name: Type.String(),
  /** True for the system's groups, which nobody can change. */
  system_generated: Type.Boolean(),
  version: Version,
};

export const GroupInfo = Type.Object({ ...Summary, policy: Policy });
export type GroupInfo = Static<typeof GroupInfo>;

/** Groups of users, their policies and their members. */
export const groupCommands = {
  "gatehouse/groups/list": command(
    "gatehouse/groups/list",
    "admin",
    {},
    Type.Object({ groups: Type.Array(Type.Object(Summary)) }),
  ),
  "gatehouse/groups/get": command("gatehouse/groups/get", "admin", { group_id: OpaqueId }, GroupInfo),
  "gatehouse/groups/create": command(
    "gatehouse/groups/create",
    "admin",
    { name: Name, policy: Policy },
    GroupInfo,
  ),
  "gatehouse/groups/update": command(
    "gatehouse/groups/update",
    "admin",
    {
      group_id: OpaqueId,
      version: Version,
      name: Type.Optional(Name),
      policy: Type.Optional(Policy),
      wait: Wait,
    },
    Type.Object({ group: GroupInfo, revocation: RevocationState }),
  ),
  "gatehouse/groups/delete": command(
    "gatehouse/groups/delete",
    "admin",
    { group_id: OpaqueId, version: Version, wait: Wait },
    RevocationState,
  ),
  "gatehouse/groups/members/list": command(
    "gatehouse/groups/members/list",
    "admin",
    { group_id: OpaqueId, ...PageFields },
    Type.Object({ user_ids: Type.Array(OpaqueId), cursor: Cursor }),
  ),
  "gatehouse/groups/members/add": command(
    "gatehouse/groups/members/add",
    "admin",
    { group_id: OpaqueId, user_id: OpaqueId, version: Type.Optional(Version) },
    Type.Null(),
  ),
  "gatehouse/groups/members/remove": command(
    "gatehouse/groups/members/remove",
    "admin",
    { group_id: OpaqueId, user_id: OpaqueId, version: Type.Optional(Version), wait: Wait },
    RevocationState,
  ),
} as const;
