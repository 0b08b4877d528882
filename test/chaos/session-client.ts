import { createHash } from "node:crypto";

import type { RecordedSocket } from "./recorded-socket.ts";

export interface TestUser {
  readonly id: string;
  readonly username: string;
  readonly password: string;
  /** Administrators may get events about users, at any moment. */
  readonly isAdmin: boolean;
  /** Sessions of this user are never revoked: whatever happens, they must stay. */
  readonly neverRevoked: boolean;
}

const keptTokens = 4;

/** A session as its client knows it. */
export class SessionClient {
  readonly user: string;
  readonly session: string;
  readonly testUser: TestUser;
  /** Newest first. They live longer than a run: only a revocation ends them. */
  accessTokens: readonly string[];
  refreshToken: string;
  /** The socket that the session uses now. */
  recorded: RecordedSocket | undefined;
  /** The client was told that the session has ended: an honest client stops. */
  hasEnded = false;

  constructor(
    person: TestUser,
    grant: { readonly session_id: string; readonly access_token: string; readonly refresh_token: string },
  ) {
    this.testUser = person;
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
    // If two answers cross, the older one must not win.
    if (given !== undefined && generationOf(given) >= generationOf(this.refreshToken))
      this.refreshToken = given;
  }
}

/** Read from the token itself: `ghr_` and base64url of version, session id and generation (big-endian). */
export function generationOf(refreshToken: string): number {
  return Buffer.from(refreshToken.slice("ghr_".length), "base64url").readUInt32BE(17);
}

/** Identifies a secret in a history without revealing it. */
export function fingerprint(secret: string): string {
  return createHash("sha256").update(secret).digest("hex").slice(0, 12);
}
