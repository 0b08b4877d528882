import { type Static, Type } from "typebox";

import {
  type ConfiguredTools,
  entrySchema,
  type Frozen,
  newUsersOf,
  newUsersOption,
} from "../provider-type.ts";
import { type CreateModuleProvider, loadProviderModule } from "./load.ts";
import { absentProvider, type ModuleEntry, moduleType as type } from "./provider.ts";

const entry = entrySchema(type, {
  path: Type.String({
    minLength: 1,
    maxLength: 4096,
    description:
      "File of a JavaScript module that somebody else wrote for this purpose, from the working directory on. It runs in the gateway's process, with its rights.",
  }),
  options: Type.Optional(
    Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), {
      maxProperties: 64,
      writeOnly: true,
      description: "What the module's own schema takes.",
    }),
  ),
  ...newUsersOption,
});
type Entry = Frozen<Static<typeof entry>>;

/** A provider that is not part of the gateway. */
export const moduleProviderType = {
  entry,
  /** Only for entries that `loadModule` has loaded: otherwise nobody logs in by it. */
  create(given: Entry, tools: ConfiguredTools) {
    const create = tools.loaded.get(given);
    return create === undefined ? absentProvider(entryOf(given)) : create(tools);
  },
};

/** Rejects with an Error that names the module. */
export async function loadModule(given: Entry): Promise<CreateModuleProvider> {
  return await loadProviderModule(entryOf(given), given.options);
}

function entryOf({ id, name, path, new_users }: Entry): ModuleEntry {
  return { id: id ?? null, name, path, newUsers: new_users && newUsersOf(new_users) };
}
