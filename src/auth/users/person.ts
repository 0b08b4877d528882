import { nobodysId } from "../ids.ts";
import type { Credential } from "../model.ts";
import type { Credentials } from "./credentials.ts";
import type { Users, VersionedUser } from "./users.ts";

/** Whose login it is, as read at one time. `credentialVersion` is the version of the credential's record. */
export interface Person {
  readonly credential: Credential;
  readonly credentialVersion: number;
  readonly versionedUser: VersionedUser;
}

/** Undefined, after the same look-ups, if nobody has the credential. */
export async function readPerson(
  {
    credentials,
    users,
  }: { readonly credentials: Pick<Credentials, "find">; readonly users: Pick<Users, "read"> },
  [type, id]: readonly [type: string, id: string | null],
  subject: string,
): Promise<Person | undefined> {
  const found = await credentials.find(type, id, subject);
  const versionedUser = await users.read(found?.credential.userId ?? nobodysId);
  return (
    found &&
    versionedUser && { credential: found.credential, credentialVersion: found.version, versionedUser }
  );
}
