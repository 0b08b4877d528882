import { type Static, Type } from "typebox";

import { webauthnOf } from "../../factors/webauthn/type.ts";
import { type ConfiguredOptions, type ConfiguredTools, entrySchema, type Frozen } from "../provider-type.ts";
import { createPasskeyProvider, passkeyType as type } from "./provider.ts";

const entry = entrySchema(type, {
  factor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      default: "webauthn",
      description: "The `id` of the `webauthn` entry of `auth_mfa_modules` whose keys let people in.",
    }),
  ),
});
type Entry = Frozen<Static<typeof entry>>;

/** People with a passkey, and nothing else. */
export const passkeyProviderType = {
  entry,
  problem: (given: Entry, { factors }: Pick<ConfiguredOptions, "factors">): string | undefined =>
    keysOf(given, factors) === undefined
      ? "needs an entry of the type webauthn in auth_mfa_modules, with the id that factor names"
      : undefined,
  create(given: Entry, tools: ConfiguredTools) {
    const keys = keysOf(given, tools.factors);
    if (keys === undefined) throw new TypeError("a passkey provider without its factor");
    const { id = null, name } = given;
    return createPasskeyProvider({ id, name, keys: webauthnOf(keys, tools, true), ...tools });
  },
};

function keysOf({ factor = "webauthn" }: Entry, factors: ConfiguredOptions["factors"]) {
  return factors.find((each) => each.type === "webauthn" && (each.id ?? "webauthn") === factor) as
    | Extract<ConfiguredOptions["factors"][number], { readonly type: "webauthn" }>
    | undefined;
}
