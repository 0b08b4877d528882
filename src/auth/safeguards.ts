/**
 * What keeps the promises about revocation, each by itself. Tests switch one off to show that what they look for would be
 * found: only code can do so, no configuration and no environment.
 */
export type Safeguard =
  /** The view is trusted only while a heartbeat that came back is younger than the lease. */
  | "lease"
  /** Trust is looked at before every inbound frame, and before every frame that leaves. */
  | "input_check"
  | "flush_check"
  /** After the log went back in time, what is remembered is written again. */
  | "rollback_repair"
  /** What the follower tells of breaks of the log, and a heartbeat that is missing in it, end trust. */
  | "break_detection"
  /** After a break every live connection is looked at again. */
  | "review"
  /** Nothing is given, and nothing is over, on the word of a server other than the one whose log is followed. */
  | "followed_server"
  /** A refresh token from ahead of the record moves the record forward. */
  | "heal_forward"
  /** The lease is renewed only while a majority of the Sentinels names the primary (see `Store.primaryConfirmedAt`). */
  | "sentinel_majority"
  /** What an entry of the log decides on a user's rights is in effect from it on, whatever the user's record says. */
  | "entry_rights"
  /** Entries of the log count only with a MAC of this installation. */
  | "mac";

/** The protections that are switched off; none, outside tests. */
export type DisabledSafeguards = ReadonlySet<Safeguard>;
