import type { RevocationPolicy } from "./revocation/revocation.ts";

/**
 * The domain's records, as they are stored (reference home-assistant.md 1). Plain data; every time is milliseconds
 * since the epoch. Ids are 32 hex digits from a CSPRNG, as Home Assistant's, except those of system groups.
 */
export interface User extends Rights {
  readonly id: string;
  /** Display name; not the login name. */
  readonly name: string | null;
  readonly isOwner: boolean;
  readonly systemGenerated: boolean;
  readonly createdAt: number;
  /**
   * The number of the commit that decided on the rights, once another has written the record again; absent: the record's
   * version.
   */
  readonly rightsVersion?: number;
}

/** `pending`: waits for somebody's approval, and never was active. Who is not `active` has no login and no token. */
export type UserState = "pending" | "active" | "deactivated";

/** What an administrator decides on of a user. */
export interface Rights {
  readonly state: UserState;
  /** May authenticate from a local address only. */
  readonly localOnly: boolean;
  readonly groupIds: readonly string[];
}

export const systemGroups = {
  admin: "system-admin",
  users: "system-users",
  readOnly: "system-read-only",
} as const;

export interface Group {
  readonly id: string;
  readonly name: string;
  readonly systemGenerated: boolean;
}

/** A login at a provider, linked to one user. Key: (provider type, provider id, subject). */
export interface Credential {
  readonly id: string;
  readonly userId: string;
  readonly providerType: string;
  readonly providerId: string | null;
  /** The provider's name for the person, normalised: the login name for `homeassistant`. */
  readonly subject: string;
  readonly createdAt: number;
}

export type SessionType = "normal" | "long_lived_access_token" | "system";

/** NIST SP 800-63B authentication assurance level. */
export type AssuranceLevel = 1 | 2;

/**
 * One login of one device: Home Assistant's refresh token (D1).
 *
 * Every commit that writes a live session checks the epoch records of its user, its client and the installation, so a
 * session is live exactly while its record is there, not revoked, not expired, and was made at or above these epochs: by
 * a commit since the last raise, or, for the one session that a password change spares, by the same one.
 */
export interface Session {
  readonly id: string;
  readonly userId: string;
  readonly type: SessionType;
  readonly clientId: string | null;
  readonly clientName: string | null;
  readonly clientIcon: string | null;
  readonly credentialId: string | null;
  readonly providerType: string | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly lastUsedIp: string | null;
  /** End of the session; slides with use (normal sessions). Null: does not expire. */
  readonly expiresAt: number | null;
  /** Milliseconds that an access token of this session lives. */
  readonly accessTokenTtl: number;
  /** False for clients that keep the first refresh token for ever (Home Assistant's kind). */
  readonly rotates: boolean;
  /** The refresh token's generation: the counter of the newest token that was handed out. */
  readonly generation: number;
  /** When the generation last rose. */
  readonly rotatedAt: number;
  /** The generation that was used last; absent before the first refresh. */
  readonly usedGeneration?: number;
  /** The lowest generation that was given for it; those from there to `generation` are good, as is `usedGeneration`. */
  readonly firstSuccessor?: number;
  readonly assurance: AssuranceLevel;
  /** RFC 8176 authentication method references, for instance `["pwd"]`. */
  readonly amr: readonly string[];
  /** When the person proved who they are. */
  readonly authenticatedAt: number;
  /**
   * The number of the commit that made it, once another has written it again; absent: the record's version. So a session
   * that should have ended does not outlive that by a refresh at a store that went back in time.
   */
  readonly createdVersion?: number;
  /** Set when revoked: the record stays as a tombstone until every access token of it has ended. */
  readonly revokedAt?: number;
  readonly revokedCause?: RevocationCause;
}

/** Why something was taken away; each has a close code of the same meaning (see closeNameOf). */
export type RevocationCause =
  | "session_revoked"
  | "session_expired"
  | "user_deactivated"
  | "user_removed"
  | "password_changed"
  | "credential_removed"
  | "token_reused";

/** Who asks: the network side of a request. */
export interface Peer {
  /** The peer's IP address as text, without a zone or an IPv4-mapped prefix. Null: not known; never local. */
  readonly address: string | null;
}

/** Who asks for a change, for the audit record. */
export interface Actor {
  readonly via: "socket" | "http" | "command_line";
  /** Null: nobody that is authenticated, or whoever has the machine. */
  readonly userId: string | null;
  readonly sessionId: string | null;
  readonly address: string | null;
}

/** One decision as the audit log writes it; ids, addresses and words of our own tables. */
export type AuditRecord = Readonly<Record<string, string | number | boolean | null>>;

/**
 * An event of the store's log: what every node's revocation view and hub are fed with. `cause` is for the close code
 * and the audit record.
 */
export type LogEvent =
  | {
      readonly type: "sessions_revoked";
      readonly userId: string;
      readonly sessionIds: readonly string[];
      readonly cause: RevocationCause;
      readonly revocationId: string;
    }
  /**
   * The commit raised the user's epoch: all sessions of the user end, but `except`. With an `epoch` a node tells it again,
   * after the log went back in time: that one was raised then, not the commit's number.
   */
  | {
      readonly type: "user_revoked";
      readonly userId: string;
      readonly cause: RevocationCause;
      readonly revocationId: string;
      readonly except: string | null;
      readonly epoch?: number;
    }
  /** All sessions of a client end; `epoch` as above. */
  | {
      readonly type: "client_revoked";
      readonly clientId: string;
      readonly cause: RevocationCause;
      readonly revocationId: string;
      readonly epoch?: number;
    }
  /** All sessions end. */
  | {
      readonly type: "all_revoked";
      readonly cause: RevocationCause;
      readonly revocationId: string;
      readonly epoch?: number;
    }
  /**
   * Rights or name changed: live sockets read the user again. `rights`: the commit decided on them, as they are after it;
   * with a `version` a node tells it again, after the log went back in time: it was decided then.
   */
  | {
      readonly type: "user_changed";
      readonly userId: string;
      readonly change: "added" | "updated" | "removed";
      readonly rights?: {
        readonly isActive: boolean;
        /** More exact where the user is not active; older nodes write none. */
        readonly state?: UserState | undefined;
        readonly localOnly: boolean;
        readonly groupIds: readonly string[];
        readonly version?: number | undefined;
      };
    }
  /**
   * A login was removed, or got another password, and sessions ended with it. With a `version` a node tells it again, as
   * above. `except`: the session that asked for the new password.
   */
  | {
      readonly type: "login_changed";
      readonly userId: string;
      readonly credentialId: string;
      readonly change: "removed" | "password";
      readonly except: string | null;
      readonly version?: number | undefined;
    }
  /** The session's expiry was changed by its user. */
  | { readonly type: "session_changed"; readonly userId: string; readonly sessionId: string }
  /** `dropped`: key ids whose tokens are refused from this entry on. */
  | {
      readonly type: "keyring_changed";
      readonly dropped?: readonly string[];
      readonly revocationId?: string;
    }
  /**
   * A node's sign of life, the `n`-th, which it reads back to know that it reads everything. `applied` is the last entry
   * that it has applied.
   */
  | {
      readonly type: "heartbeat";
      readonly node: string;
      readonly n: number;
      readonly applied: string | null;
      readonly policy: RevocationPolicy;
    }
  /** The node serves nobody any more. */
  | { readonly type: "node_left"; readonly node: string }
  /** What a process without a log of its own, a command, has decided: every node writes it to its audit log. */
  | { readonly type: "audited"; readonly record: AuditRecord };

/**
 * An authenticated caller. Only authentication builds one, so whoever holds it needs no further check of the token:
 * what may have changed since is the revocation view's business.
 */
export interface Principal {
  readonly userId: string;
  readonly sessionId: string;
  /** The highest of the epochs of user, client and installation that was known when the token was made. */
  readonly epoch: number;
  /** The key that signed the token. */
  readonly keyId: string;
  readonly sessionType: SessionType;
  readonly clientId: string | null;
  readonly assurance: AssuranceLevel;
  readonly amr: readonly string[];
  readonly authenticatedAt: number;
  /** When the access token that was shown was made, and when it ends (ms since the epoch). */
  readonly tokenIssuedAt: number;
  readonly tokenExpiresAt: number;
  /** The session's end as known when the token was made; null when it does not expire. */
  readonly sessionExpiresAt: number | null;
  /** The user was local-only when the token was made. */
  readonly localOnly: boolean;
}

/** A part of a list in the order of its members' ids. */
export interface PageRequest {
  /** Members with higher ids only. */
  readonly after: string | undefined;
  /** At least 1. */
  readonly limit: number;
}
