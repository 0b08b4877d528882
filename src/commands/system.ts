import { answered, type Command } from "../connection/command.ts";
import { defineCommand } from "./define.ts";
import type { CommandParts } from "./registry.ts";

export function systemCommands({ authority: { users } }: CommandParts): readonly Command[] {
  return [
    defineCommand("ping", users, ({ id }, session) => {
      session.send({ id, type: "pong" });
      return answered;
    }),
    // Presence of the name counts, whatever its value (Home Assistant).
    defineCommand("supported_features", users, ({ features }, session) => {
      session.negotiate(Object.keys(features));
      return null;
    }),
  ];
}
