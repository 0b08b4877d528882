/**
 * The safeguards of revocation. Tests disable one to show that its absence is detected. Only code can disable one, no
 * configuration and no environment variable.
 */
export type Safeguard =
  /** The view is trusted only while the last heartbeat that was read back is younger than the lease. */
  | "lease"
  /** Trust is checked before every inbound frame, and before every outbound frame. */
  | "input_check"
  | "flush_check"
  /** After the log went back in time, remembered revocations are written again. */
  | "rollback_repair"
  /** A break of the log that the follower reports, or a missing heartbeat, ends trust. */
  | "break_detection"
  /** After a break every live connection is reviewed. */
  | "review"
  /** Trust only the server whose log we follow: no other server's answer grants anything or ends anything. */
  | "followed_server"
  /** A genuine refresh token with a higher generation than the session's record moves the record forward. */
  | "heal_forward"
  /** The lease is renewed only while a majority of the Sentinels names the primary (see `Store.primaryConfirmedAt`). */
  | "sentinel_majority"
  /** A decision on a user's rights in the log holds from its entry on, whatever the user's record says. */
  | "entry_rights"
  /** A node that knows a session to be over refreshes nothing for it, although the store has lost the revocation. */
  | "known_revocation"
  /** What a socket may read of topics is decided again in the tick in which this node applies a change of rights. */
  | "topic_rights"
  /** Entries of the log are applied only with a valid MAC of this installation. */
  | "mac";

/** The safeguards that are disabled; none, outside tests. */
export type DisabledSafeguards = ReadonlySet<Safeguard>;
