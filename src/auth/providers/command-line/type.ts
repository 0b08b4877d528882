import { type Static, Type } from "typebox";

import { longestTryMs } from "../bounded-tries.ts";
import {
  entrySchema,
  type Frozen,
  newUsersOf,
  newUsersOption,
  type ProviderTools,
} from "../provider-type.ts";
import { createCommandLineProvider, commandLineType as type } from "./provider.ts";

const entry = entrySchema(type, {
  command: Type.String({
    minLength: 2,
    maxLength: 4096,
    pattern: "^/[^\\0]*$",
    expected: "an absolute path",
    file: "run",
    description:
      "Absolute path of the program. It gets the variables `username` and `password`, and no other. Exit code 0 lets the person in.",
  }),
  args: Type.Optional(
    Type.Array(Type.String({ maxLength: 4096, pattern: "^[^\\0]*$" }), {
      default: [],
      maxItems: 64,
      description: "Arguments of the program.",
    }),
  ),
  meta: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        "Read the program's output: lines `name = ...`, `group = ...` (a group's id) and `local_only = true` apply to the user at every login.",
    }),
  ),
  timeout_ms: Type.Optional(
    Type.Integer({
      default: 5_000,
      minimum: 100,
      maximum: longestTryMs,
      description: "After this time the program and everything that it started is killed.",
    }),
  ),
  concurrent: Type.Optional(
    Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 64,
      description:
        "How many programs run at once. Others wait, and are refused with `overloaded` if it takes long.",
    }),
  ),
  ...newUsersOption,
});

/** A program that says whether a name and a password belong together. */
export const commandLineProviderType = {
  entry,
  create: (
    { id, name, command, args, meta, timeout_ms, concurrent, new_users }: Frozen<Static<typeof entry>>,
    { credentials }: ProviderTools,
  ) =>
    createCommandLineProvider({
      id: id ?? null,
      name,
      command,
      args: args ?? [],
      meta: meta ?? false,
      timeoutMs: timeout_ms ?? 5_000,
      concurrent: concurrent ?? 4,
      newUsers: newUsersOf(new_users),
      credentials,
    }),
};
