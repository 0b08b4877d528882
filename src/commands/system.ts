import { answered, type Command } from "../connection/command.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

export function systemCommands({ authority }: CommandParts): readonly Command[] {
  return [
    defineCommand("ping", authority, ({ id }, session) => {
      session.send({ id, type: "pong" });
      return answered;
    }),
    // As in Home Assistant, the presence of a name counts, whatever its value is.
    defineCommand("supported_features", authority, ({ features }, session) => {
      session.negotiate(Object.keys(features));
      return null;
    }),
  ];
}
