import { describe, expect, it } from "vitest";

import type { Rights, User } from "../../../src/auth/model.ts";
import { applyDecidedRights } from "../../../src/auth/users/decided-rights.ts";

const user: User = {
  id: "u1",
  name: "Ada",
  isOwner: false,
  systemGenerated: false,
  createdAt: 1,
  state: "active",
  localOnly: false,
  groupIds: ["system-admin"],
};
const less: Rights = { state: "deactivated", localOnly: true, groupIds: ["system-users"] };

describe("a user's record that is older than what the log decided", () => {
  it("grants no right that was removed", () => {
    expect(applyDecidedRights({ user, version: 5 }, { version: 6, rights: less })).toEqual({
      ...user,
      ...less,
    });
    expect(applyDecidedRights({ user, version: 5 }, { version: 6, rights: null })).toBeUndefined();
  });

  it("gains no right that it does not have itself", () => {
    const narrow = { ...user, ...less };
    const rights: Rights = { state: "active", localOnly: false, groupIds: ["system-admin"] };
    expect(applyDecidedRights({ user: narrow, version: 5 }, { version: 6, rights })).toEqual(narrow);
  });

  it("counts as it is if its rights were decided later, or nothing is known", () => {
    expect(applyDecidedRights({ user, version: 6 }, { version: 6, rights: less })).toBe(user);
    const named = { ...user, rightsVersion: 5 };
    expect(applyDecidedRights({ user: named, version: 9 }, { version: 6, rights: less })?.state).toBe(
      "deactivated",
    );
    expect(applyDecidedRights({ user, version: 5 }, undefined)).toBe(user);
  });

  it("leaves the owner active", () => {
    const owner = { ...user, isOwner: true };
    expect(applyDecidedRights({ user: owner, version: 5 }, { version: 6, rights: less })?.state).toBe(
      "active",
    );
  });
});
