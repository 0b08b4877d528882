import { Type } from "typebox";

import { defaultStepUpSettings } from "../../auth/sessions/recent-login.ts";

const recent = Type.Literal("recent_login");
const second = Type.Literal("second_factor");

/** By these somebody who found an unlocked device could take the account over, so they cannot be set off. */
const always = (name: keyof typeof defaultStepUpSettings, description: string) =>
  Type.Union([recent, second], { default: defaultStepUpSettings[name], description });

const settable = (name: keyof typeof defaultStepUpSettings, description: string) =>
  Type.Union([Type.Literal("off"), recent, second], { default: defaultStepUpSettings[name], description });

/** What needs a recent login; see `StepUps`. */
export const stepUp = Type.Object(
  {
    owner_transfer: always(
      "owner_transfer",
      "What the owner needs to make another user the owner. `recent_login`: a login within `tokens.recent_login_minutes`. `second_factor`: the same, of assurance level 2.",
    ),
    second_factors: always(
      "second_factors",
      "The same, to set up or remove a second factor of one's own. With `second_factor` nobody sets up a first one but at a login.",
    ),
    credentials: always(
      "credentials",
      "The same, to link or unlink a login, and to give oneself a password without the present one.",
    ),
    device_approval: always("device_approval", "The same, to give a device that shows a code a session."),
    long_lived_tokens: settable(
      "long_lived_tokens",
      "The same, to create a long-lived token. `off`: nothing; then whoever has an access token for minutes can make it one for years.",
    ),
    group_policy: settable(
      "group_policy",
      "The same, to create, change or delete a group, and to demand a second factor of one. Long-lived and system tokens of services need nothing for this and the two below.",
    ),
    user_rights: settable(
      "user_rights",
      "The same, to put a user into a group other than `system-users` and `system-read-only`, to give one in such a group a login or let them in from everywhere, to reset a user's second factors, to make a reset code, and to give a client a system user.",
    ),
    approvals: settable("approvals", "The same, to approve a user who waits."),
  },
  { additionalProperties: false },
);
