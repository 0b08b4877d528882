import type { Command } from "../connection/command.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

/** Decisions on devices that show a code. */
export function deviceCommands({ authority, authorityOf }: CommandParts): readonly Command[] {
  const { devices } = authority;
  return [
    defineCommand("gatehouse/device/show", authority, async ({ user_code }, { principal }) => {
      const { clientId, clientName, scope, resource, address, expiresInMs } = await devices.find(
        user_code,
        principal,
      );
      const expires_in = Math.floor(expiresInMs / 1000);
      return { client_id: clientId, client_name: clientName, scope, resource, address, expires_in };
    }),
    defineCommand("gatehouse/device/approve", authority, async ({ user_code }, session) => {
      await authorityOf(session).devices.approve(user_code, session.principal);
      return null;
    }),
    defineCommand("gatehouse/device/refuse", authority, async ({ user_code }, session) => {
      await authorityOf(session).devices.refuse(user_code, session.principal);
      return null;
    }),
  ];
}
