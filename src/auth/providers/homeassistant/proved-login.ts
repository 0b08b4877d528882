import type { Clock } from "../../clock/clock.ts";
import type { Passwords } from "../../passwords/passwords.ts";
import type { Store } from "../../store.ts";
import type { Sealing } from "../../tokens/sealing.ts";
import type { Credentials } from "../../users/credentials.ts";
import { type Person, readPerson } from "../../users/person.ts";
import type { Users } from "../../users/users.ts";
import type { ProviderStep } from "../provider.ts";
import {
  type LocalProviderId,
  localLoginKey,
  localType,
  type ReadLocalLogin,
  secretVersionOf,
} from "./login-record.ts";

/* What both ways to log in with a password have in common: the form, and the proof. */

export interface ProviderParts {
  readonly store: Store;
  readonly passwords: Passwords;
  readonly credentials: Pick<Credentials, "find">;
  readonly users: Pick<Users, "read">;
  readonly sealing: Pick<Sealing, "derive" | "open">;
  readonly clock: Clock;
  readonly id: LocalProviderId;
}

/** The password is that of this login, as its record was read. */
export function done(found: ReadLocalLogin): Extract<ProviderStep, { readonly kind: "done" }> {
  const { providerId, username } = found.login;
  const evidence = [{ key: localLoginKey(providerId, username), version: found.version }];
  return { kind: "done", subject: username, amr: ["pwd"], evidence, secretVersion: secretVersionOf(found) };
}

/** Undefined after the same look-ups if nobody has the name. */
export async function ownerOf(
  parts: Pick<ProviderParts, "credentials" | "users" | "id">,
  username: string,
): Promise<Person | undefined> {
  return await readPerson(parts, [localType, parts.id], username);
}
