import { type Static, type TProperties, Type } from "typebox";

import type { AddressRanges } from "../../net/address-ranges.ts";
import type { Clock } from "../clock/clock.ts";
import type { FactorEntry } from "../factors/factor-types.ts";
import { systemGroups } from "../model.ts";
import type { Passwords } from "../passwords/passwords.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import type { Credentials } from "../users/credentials.ts";
import type { Users } from "../users/users.ts";
import type { LoginProvider, NewUsers } from "./provider.ts";

/** What a provider of the configuration may use of the domain. */
export interface ProviderTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly passwords: Passwords;
  readonly credentials: Pick<Credentials, "find">;
  readonly users: Pick<Users, "read" | "page">;
  readonly sealing: Sealing;
  readonly revocation: Pick<Revocation, "revoke">;
  /** How clients and browsers reach the gateway, without a trailing slash. Known once it listens. */
  readonly publicUrl: () => string;
}

/** The same for an entry of the configuration, with what other options say. */
export interface ConfiguredTools extends ProviderTools {
  /** The option `auth_mfa_modules`. */
  readonly factors: readonly FactorEntry[];
  /** The option `trusted_proxies`. */
  readonly trustedProxies: AddressRanges;
  /** The providers of modules that were loaded, by their entry. */
  readonly loaded: ReadonlyMap<object, (tools: ProviderTools) => LoginProvider>;
}

const named = {
  id: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: "^[A-Za-z0-9._-]+$",
      description: "Tells entries of one type apart.",
    }),
  ),
  name: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: "What people read when they choose." }),
  ),
};

/** The option `new_users` of types whose people are not known before their first login. */
export const newUsersOption = {
  new_users: Type.Optional(
    Type.Object(
      {
        activate: Type.Optional(Type.Boolean()),
        groups: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 16 })),
      },
      {
        additionalProperties: false,
        default: { activate: false, groups: [systemGroups.users] },
        description:
          "What a first login makes. `activate: false`: a user who waits for approval. `groups`: the ids of the user's groups, unless the provider names some.",
      },
    ),
  ),
};

/** New users wait for approval and are members of system-users, unless the configuration says otherwise. */
export function newUsersOf(
  option: { readonly activate?: boolean; readonly groups?: readonly string[] } = {},
): NewUsers {
  return { activate: option.activate ?? false, groups: option.groups ?? [systemGroups.users] };
}

/** Other options that an entry is judged with, as they are configured. */
export interface ConfiguredOptions {
  readonly factors: readonly FactorEntry[];
  readonly publicUrl: string | null;
  readonly transport: "ws" | "uws";
}

/** A value of the configuration, which is frozen. */
export type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

/** The schema of a type's entries in the configuration: `type`, `id` and `name`, and what the type has beside them. */
export function entrySchema<Name extends string, Options extends TProperties>(type: Name, options: Options) {
  return Type.Object({ type: Type.Literal(type), ...named, ...options }, { additionalProperties: false });
}

/** A file that an entry names. */
export interface NamedFile {
  readonly option: string;
  readonly path: string;
  readonly use: "read" | "run";
}

/** The options of an entry that name a file: their schema says `file`, and whether it is read or run. */
export function filesIn(
  properties: Readonly<Record<string, object>>,
  entry: Readonly<Record<string, unknown>>,
): readonly NamedFile[] {
  return Object.entries(entry).flatMap(([option, path]) => {
    const schema = properties[option] ?? {};
    const use = "file" in schema && (schema.file === "run" ? "run" : "read");
    return use === false || typeof path !== "string" ? [] : [{ option, path, use }];
  });
}

/** What people read when they choose: the entry's name, or the type's with the id. */
export function shownName(
  title: string,
  { id, name }: { readonly id: string | null; readonly name?: string | undefined },
): string {
  return name ?? (id === null ? title : `${title} (${id})`);
}

/** A type of provider: how an entry of the configuration is written, and the provider that it makes. */
export interface ProviderType<Entry extends ReturnType<typeof entrySchema> = ReturnType<typeof entrySchema>> {
  readonly entry: Entry;
  /**
   * What is wrong with an entry beyond its schema, after the words "entry 3". Never holds a value that may be secret.
   */
  problem?(entry: Frozen<Static<Entry>>, configured: ConfiguredOptions): string | undefined;
  create(entry: Frozen<Static<Entry>>, tools: ConfiguredTools): LoginProvider;
}
