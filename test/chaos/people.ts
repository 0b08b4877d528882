import { createHash } from "node:crypto";

import type { Visit } from "./visit.ts";

export interface Person {
  readonly id: string;
  readonly username: string;
  readonly password: string;
  /** Administrators may hear of changes of users: frames that nobody asked for at that moment. */
  readonly isAdmin: boolean;
  /** Whose sessions are never revoked: whatever happens, nobody may be logged out. */
  readonly spared: boolean;
}

const keptTokens = 4;

/** A session as its holder knows it. */
export class Holding {
  readonly user: string;
  readonly session: string;
  readonly person: Person;
  /** The newest first. They live longer than a run: only a revocation ends them. */
  accessTokens: readonly string[];
  refreshToken: string;
  /** The socket that the session has now. */
  visit: Visit | undefined;
  /** Was told that it is over: an honest holder stops. */
  isOver = false;

  constructor(
    person: Person,
    grant: { readonly session_id: string; readonly access_token: string; readonly refresh_token: string },
  ) {
    this.person = person;
    this.user = person.id;
    this.session = grant.session_id;
    this.accessTokens = [grant.access_token];
    this.refreshToken = grant.refresh_token;
  }

  get subject() {
    return { user: this.user, session: this.session };
  }

  renewed(grant: { readonly access_token: string; readonly refresh_token?: string }): void {
    this.accessTokens = [grant.access_token, ...this.accessTokens].slice(0, keptTokens);
    const given = grant.refresh_token;
    // Of two answers that cross, the older one must not win.
    if (given !== undefined && generationOf(given) >= generationOf(this.refreshToken))
      this.refreshToken = given;
  }
}

/** Read from the token itself: `ghr_` and base64url of version, session id and generation (big-endian). */
export function generationOf(refreshToken: string): number {
  return Buffer.from(refreshToken.slice("ghr_".length), "base64url").readUInt32BE(17);
}

/** Tells secrets apart in a history without being one. */
export function fingerprint(secret: string): string {
  return createHash("sha256").update(secret).digest("hex").slice(0, 12);
}
