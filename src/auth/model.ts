import type { RevocationPolicy } from "./revocation/revocation.ts";
import type { JsonObject } from "./store.ts";

/**
 * The domain's records as they are stored, modelled on Home Assistant's. Plain data. Every time is milliseconds since
 * the epoch. Ids are 32 hex digits from a CSPRNG, as in Home Assistant, except those of system groups.
 */
export interface User extends Rights {
  readonly id: string;
  /** Display name; not the login name. */
  readonly name: string | null;
  readonly isOwner: boolean;
  readonly systemGenerated: boolean;
  readonly createdAt: number;
  /**
   * The number of the commit that decided on the rights, if a later commit has written the record again. If absent,
   * it is the record's version.
   */
  readonly rightsVersion?: number;
}

/** `pending`: waits for approval and was never active. Only an `active` user can log in and get tokens. */
export type UserState = "pending" | "active" | "deactivated";

/** The rights of a user, which an administrator decides on. */
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

/** A login at a provider, linked to one user. Key: (provider type, provider id, subject). */
export interface Credential {
  readonly id: string;
  readonly userId: string;
  readonly providerType: string;
  readonly providerId: string | null;
  /** The provider's normalised name of the person; for `homeassistant` the login name. */
  readonly subject: string;
  readonly createdAt: number;
  /**
   * True if its user, who was there before, has linked it. What its provider says of the person is then not applied:
   * the rights of a user come from one place.
   */
  readonly linked?: boolean;
}

export type SessionType = "normal" | "long_lived_access_token" | "system";

/** NIST SP 800-63B authentication assurance level. */
export type AssuranceLevel = 1 | 2;

/**
 * One login of one device; Home Assistant calls it a refresh token.
 *
 * Every commit that writes a live session checks the epoch records of its user, its client and the installation. So a
 * session is live exactly if its record exists, is not revoked, has not expired, and was created at or above these
 * epochs: by a commit after the last bump, or by the same commit for the one session that a password change spares.
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
  /** The provider's id. Absent in records of older versions. */
  readonly providerId?: string | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly lastUsedIp: string | null;
  /** Expiry of the session. Each use of a normal session extends it. Null: does not expire. */
  readonly expiresAt: number | null;
  /** Life of an access token of this session, ms. */
  readonly accessTokenTtl: number;
  /** False for clients that keep their first refresh token for ever, as Home Assistant's do. */
  readonly rotates: boolean;
  /** The generation of the newest refresh token that was issued. */
  readonly generation: number;
  /** When the generation last rose. */
  readonly rotatedAt: number;
  /** The generation that was used last; absent before the first refresh. */
  readonly usedGeneration?: number;
  /**
   * The lowest generation that was issued for it. Valid are those from there to `generation`, and `usedGeneration`.
   */
  readonly firstSuccessor?: number;
  readonly assurance: AssuranceLevel;
  /** RFC 8176 authentication method references, for instance `["pwd"]`. */
  readonly amr: readonly string[];
  /** When the user authenticated. */
  readonly authenticatedAt: number;
  /** The provider's session that the login belongs to: its end there ends this one. See `ProviderSession`. */
  readonly providerSession?: string;
  /** What its tokens may do, as a list of scopes; null or absent: everything that the user may do. */
  readonly scope?: string | null;
  /** The policy that narrows what its tokens may do, as JSON; absent: everything that the user may do. */
  readonly policy?: string;
  /** The backend that its tokens are for (RFC 8707); null or absent: the gateway, and whoever takes its audience. */
  readonly resource?: string | null;
  /**
   * The number of the commit that created the session, if a later commit has written it again. If absent, it is the
   * record's version. So a refresh at a store that went back in time does not save a session from its revocation.
   */
  readonly createdVersion?: number;
  /** Set by a revocation. The record stays as a tombstone until every access token of the session has expired. */
  readonly revokedAt?: number;
  readonly revokedCause?: RevocationCause;
}

/** Why something was revoked. Each cause has a close code of the same meaning (see `closeNameOf`). */
export type RevocationCause =
  | "session_revoked"
  | "session_expired"
  | "user_deactivated"
  | "user_removed"
  | "password_changed"
  | "credential_removed"
  | "token_reused";

/** The network peer of a request. */
export interface Peer {
  /** The peer's IP address as text, without a zone or an IPv4-mapped prefix. Null: not known; never local. */
  readonly address: string | null;
  /**
   * The request may be one of somebody's page in a browser at this address: then the address says nothing of who acts.
   * Absent: no.
   */
  readonly byUnknownPage?: true | undefined;
  /**
   * Of a socket whose TLS ends here: the value of RFC 9266 by which a login is bound to the connection. Undefined if the
   * connection has none. Absent: nothing can be bound to this peer's connection.
   */
  readonly channelBinding?: (() => Uint8Array | undefined) | undefined;
  /** True once nobody waits for the answer any more. Absent: not known. */
  readonly isGone?: (() => boolean) | undefined;
  /** Of a socket, if a login provider reads headers of its upgrade. */
  readonly upgrade?: UpgradeHeaders | undefined;
}

/** What the upgrade of a socket said about who is behind it. */
export interface UpgradeHeaders {
  /** Of the TCP peer, who sent the headers. It is never the address that a header names. */
  readonly address: string;
  /** Those that a provider reads, by lower-case name: every value in the order of the wire, one character a byte. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

/** Who asks for a change, for the audit record. */
export interface Actor {
  readonly via: "socket" | "http" | "command_line";
  /** Null: not authenticated, or the command line. */
  readonly userId: string | null;
  readonly sessionId: string | null;
  readonly address: string | null;
}

/** One decision as the audit log writes it. Contains only ids, addresses and fixed words. */
export type AuditRecord = Readonly<Record<string, string | number | boolean | null>>;

/**
 * An event of the store's log. Every node applies it to its revocation view and its hub. `cause` is for the close
 * code and the audit record.
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
   * The commit bumped the user's epoch: all sessions of the user end, except `except`. With `epoch`, a node has
   * logged the event again after the log went back in time: this is the epoch then, not the commit's number.
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
   * Rights or name changed: live sockets read the user again. `rights` is present if the commit decided on them. With
   * `version`, a node has logged the event again after the log went back in time: this is the version of the original
   * decision.
   */
  | {
      readonly type: "user_changed";
      readonly userId: string;
      readonly change: "added" | "updated" | "removed";
      readonly rights?: {
        readonly isActive: boolean;
        /** Distinguishes the states that are not active. Older nodes do not write it. */
        readonly state?: UserState | undefined;
        readonly localOnly: boolean;
        readonly groupIds: readonly string[];
        readonly version?: number | undefined;
      };
      /** The commit left the rights as they were: only the name changed, or who is the owner. */
      readonly keepsRights?: true;
      /** Present if somebody wants to know when it is in effect on all nodes. */
      readonly revocationId?: string;
    }
  /**
   * A group was created or changed, or deleted: then name and policy are null. With `version`, a node has logged the event
   * again, as above.
   */
  | {
      readonly type: "group_changed";
      readonly groupId: string;
      readonly name: string | null;
      readonly policy: JsonObject | null;
      readonly version?: number | undefined;
      readonly revocationId?: string | undefined;
    }
  /**
   * Entities and devices were registered or removed (without `parent`). A version that is not 0 says that a node has logged
   * it again, as above.
   */
  | {
      readonly type: "resources_changed";
      readonly states: readonly {
        readonly kind: "entity" | "device";
        readonly id: string;
        readonly parent?: string | null;
        readonly version: number;
      }[];
      readonly revocationId?: string | undefined;
    }
  /** These groups demand a second factor of their members from now on, and no others. */
  | { readonly type: "factor_demands_changed"; readonly groups: readonly string[] }
  /** Another user is the owner now. With `version`, a node has logged the event again, as above. */
  | {
      readonly type: "owner_changed";
      readonly userId: string;
      readonly previousId: string;
      readonly version?: number | undefined;
    }
  /**
   * A login was removed or got another password, and its sessions ended. With `version`, a node has logged the event
   * again, as above. `except`: the session that asked for the new password.
   */
  | {
      readonly type: "login_changed";
      readonly userId: string;
      readonly credentialId: string;
      readonly change: "removed" | "password";
      readonly except: string | null;
      readonly version?: number | undefined;
    }
  /** The user changed the session's expiry. */
  | { readonly type: "session_changed"; readonly userId: string; readonly sessionId: string }
  /** `dropped`: key ids whose tokens are refused from this entry on. */
  | {
      readonly type: "keyring_changed";
      readonly dropped?: readonly string[];
      readonly revocationId?: string;
    }
  /**
   * The `n`-th heartbeat of a node. When the node reads it back, it knows that it reads everything. `applied` is the
   * last entry that it has applied.
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
  /** An audit record of a command line process, which has no audit log. Every node writes it to its own. */
  | { readonly type: "audited"; readonly record: AuditRecord };

/**
 * An authenticated caller. Only authentication creates one, so its token needs no further check. The revocation view
 * tells what has changed since.
 */
export interface Principal {
  readonly userId: string;
  readonly sessionId: string;
  /** The highest epoch of user, client and installation when the token was issued. */
  readonly epoch: number;
  /** The key that signed the token. */
  readonly keyId: string;
  readonly sessionType: SessionType;
  readonly clientId: string | null;
  readonly assurance: AssuranceLevel;
  readonly amr: readonly string[];
  readonly authenticatedAt: number;
  /** When the access token was issued, and when it expires (ms since the epoch). */
  readonly tokenIssuedAt: number;
  readonly tokenExpiresAt: number;
  /** The session's expiry when the token was issued; null if it does not expire. */
  readonly sessionExpiresAt: number | null;
  /** Whether the user was local-only when the token was issued. */
  readonly localOnly: boolean;
  /** The provider that judges from where the session may be used; null for most, see `ProviderAdmission`. */
  readonly judgedBy: readonly [type: string, id: string | null] | null;
  /** What the token may do; null: everything that the user may do. */
  readonly scope: string | null;
  /** The policy that narrows what the token may do, as JSON; null: everything that the user may do. */
  readonly policy: string | null;
  /** Whether the token is for a backend only (RFC 8707), so that it opens nothing here. */
  readonly isForOtherAudience: boolean;
}

/** One page of a list, in the order of its members' ids. */
export interface PageRequest {
  /** Members with higher ids only. */
  readonly after: string | undefined;
  /** At least 1. */
  readonly limit: number;
}
