import { type Static, Type } from "typebox";

import { command } from "./define.ts";

const UserCode = Type.String({
  minLength: 1,
  maxLength: 32,
  description: "What the device shows; case, dashes and blanks do not matter.",
});

/** A device that waits for a person's decision. */
export const DeviceInfo = Type.Object({
  client_id: Type.String(),
  client_name: Type.String(),
  /** Null: everything that the person may do. */
  scope: Type.Union([Type.String(), Type.Null()]),
  resource: Type.Union([Type.String(), Type.Null()], {
    description: "The backend that its tokens are for alone; null: they are for this server.",
  }),
  /** Where the device asked from; null: not known. */
  address: Type.Union([Type.String(), Type.Null()]),
  expires_in: Type.Integer({ minimum: 0, description: "Seconds in which the person may decide." }),
});
export type DeviceInfo = Static<typeof DeviceInfo>;

/** Decisions on devices that show a code (RFC 8628). */
export const deviceCommands = {
  "gatehouse/device/show": command("gatehouse/device/show", "user", { user_code: UserCode }, DeviceInfo),
  "gatehouse/device/approve": command(
    "gatehouse/device/approve",
    "user",
    { user_code: UserCode },
    Type.Null(),
  ),
  "gatehouse/device/refuse": command("gatehouse/device/refuse", "user", { user_code: UserCode }, Type.Null()),
} as const;
