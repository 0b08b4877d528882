import { existsSync } from "node:fs";
import path from "node:path";
import { type Static, type TSchema, Type } from "typebox";
import { Compile } from "typebox/compile";

import { readHash } from "../../auth/passwords/imported/hash-encodings.ts";
import type { ImportProblem, UserToImport } from "../../auth/providers/homeassistant/import-users.ts";
import { normaliseLoginName } from "../../auth/providers/homeassistant/login-name.ts";
import { UsageError } from "../output.ts";
import type { ReadUsers } from "./import-file.ts";
import { isFolder, parsedJson, readText } from "./read-text.ts";

const providerFile = "auth_provider.homeassistant";
const authFile = "auth";

/* Only what is read. A Home Assistant of another time has more or fewer keys. */

const Logins = Type.Object({
  data: Type.Object({
    users: Type.Array(Type.Object({ username: Type.String(), password: Type.String() })),
  }),
});
const Auth = Type.Object({
  data: Type.Object({
    users: Type.Array(
      Type.Object({
        id: Type.String(),
        name: Type.Union([Type.String(), Type.Null()]),
        is_owner: Type.Boolean(),
        is_active: Type.Boolean(),
        system_generated: Type.Boolean(),
        local_only: Type.Optional(Type.Boolean()),
        group_ids: Type.Array(Type.String()),
      }),
    ),
    credentials: Type.Array(
      Type.Object({
        user_id: Type.String(),
        auth_provider_type: Type.String(),
        auth_provider_id: Type.Union([Type.String(), Type.Null()]),
        data: Type.Record(Type.String(), Type.Unknown()),
      }),
    ),
  }),
});
type Auth = Static<typeof Auth>["data"];
type Login = Static<typeof Logins>["data"]["users"][number];

export function isHomeAssistantFile(file: string): boolean {
  return path.basename(file) === providerFile;
}

/**
 * Reads the users of a Home Assistant: `at` is its configuration folder, the `.storage` in it, or the file
 * `auth_provider.homeassistant` there. Login names and hashes come from that file. If the file `auth` is beside it, users,
 * owner, groups, `is_active`, `local_only`, and the credentials that link both come from there. Nothing else is read:
 * no tokens, and no second factors. Throws `UsageError`.
 */
export function readHomeAssistant(at: string): ReadUsers {
  const provider = isFolder(at) ? storedIn(at) : at;
  const { users: logins } = fileOf(Logins, provider).data;
  const beside = path.join(path.dirname(provider), authFile);
  const auth = existsSync(beside) ? fileOf(Auth, beside).data : undefined;
  const found = auth === undefined ? withoutUsers(logins) : withUsers(logins, auth);
  const factors = ["totp", "notify"].filter((type) =>
    existsSync(path.join(path.dirname(provider), `auth_module.${type}`)),
  );
  const skipped = factors.map((type) => ({
    entry: `auth_module.${type}`,
    problem: "second factors are not imported: their users set them up again",
  }));
  return { ...found, skipped: [...found.skipped, ...skipped] };
}

function storedIn(folder: string): string {
  const found = [folder, path.join(folder, ".storage")]
    .map((each) => path.join(each, providerFile))
    .find((each) => existsSync(each));
  if (found === undefined) throw new UsageError(`there is no .storage/${providerFile} in ${folder}`);
  return found;
}

function fileOf<Schema extends TSchema>(schema: Schema, file: string): Static<Schema> {
  const name = path.basename(file);
  const content = parsedJson(readText(file), name);
  const check = Compile(schema);
  if (!check.Check(content))
    throw new UsageError(`${name} is no file of Home Assistant's, or of another version`);
  return content as Static<Schema>;
}

/** Home Assistant makes a user at the first login. Here they are made at once, and have no group yet. */
function withoutUsers(logins: readonly Login[]): ReadUsers {
  const users: UserToImport[] = [];
  const problems: ImportProblem[] = [];
  for (const login of logins) {
    const entry = entryOf(login.username);
    const read = loginOf(login);
    if ("problem" in read) problems.push({ entry, problem: read.problem });
    else users.push({ entry, name: login.username, groupIds: [], login: read });
  }
  return { users, problems, skipped: [] };
}

function withUsers(logins: readonly Login[], auth: Auth): ReadUsers {
  const users: UserToImport[] = [];
  const problems: ImportProblem[] = [];
  const skipped: ImportProblem[] = [];
  const linked = new Set<Login>();
  for (const user of auth.users) {
    const entry = `user ${user.name ?? user.id}`;
    if (user.system_generated) {
      skipped.push({ entry, problem: "is of the system" });
      continue;
    }
    const own = loginLinkedTo(user.id, logins, auth);
    if (own !== undefined) linked.add(own);
    else skipped.push({ entry, problem: "has no login name: imported without a login" });
    const login = own && loginOf(own);
    if (login !== undefined && "problem" in login) {
      problems.push({ entry, problem: login.problem });
      continue;
    }
    const { id, group_ids: groupIds, is_owner: isOwner, is_active: isActive, local_only: localOnly } = user;
    const name = user.name ?? own?.username ?? id;
    users.push({ entry, id, name, groupIds, isOwner, isActive, localOnly, login });
  }
  for (const login of logins)
    if (!linked.has(login))
      skipped.push({ entry: entryOf(login.username), problem: "has no user in the file auth: not imported" });
  return { users, problems, skipped };
}

function loginLinkedTo(userId: string, logins: readonly Login[], { credentials }: Auth): Login | undefined {
  const names = credentials
    .filter((each) => each.user_id === userId && each.auth_provider_type === "homeassistant")
    .map(({ data }) => data.username);
  return logins.find(({ username }) => names.includes(username));
}

/** The file has base64 of bcrypt's text. */
function loginOf({ username, password }: Login): NonNullable<UserToImport["login"]> | { problem: string } {
  const hash = readHash(Buffer.from(password, "base64").toString("latin1"));
  return "problem" in hash ? hash : { username: normaliseLoginName(username), hash };
}

function entryOf(username: string): string {
  return `login ${username}`;
}
