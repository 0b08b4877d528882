import type { AuthError } from "../../auth/errors.ts";
import { reasonOf, unavailable } from "../unavailable.ts";

/** What the first word of a Redis error means, for readers of the log. */
const meanings: Readonly<Record<string, string>> = {
  READONLY: "this is a replica now",
  OOM: "out of memory (maxmemory reached)",
  NOREPLICAS: "not enough replicas to accept writes (min-replicas-to-write)",
  LOADING: "still loading its data",
  BUSY: "busy with a script",
  MISCONF: "cannot persist to disk and refuses writes",
  CLUSTERDOWN: "the cluster is down",
  MASTERDOWN: "the replica lost its primary",
  TRYAGAIN: "the slot is being moved",
  MOVED: "the slot is elsewhere and could not be followed",
  NOAUTH: "requires a password",
  WRONGPASS: "refuses user or password",
  NOPERM: "the user may not run this command",
};

/**
 * One line for operators. The error's own fields are left out: ioredis keeps the command's arguments in them, with
 * values.
 */
export function faultOf(error: unknown): string {
  const reason = reasonOf(error);
  const isForbidden = /^ERR The user executing the script can't/.test(reason);
  const word = isForbidden ? "NOPERM" : (reason.split(" ", 1)[0] ?? "");
  const meaning = meanings[word];
  if (meaning !== undefined) return `${word}: ${meaning}`;
  if (reason === "Command timed out") return "no answer in time";
  if (
    /isn't writeable|isn't ready|Connection is closed|max retries per request|Cluster is ended/.test(reason)
  ) {
    return "no connection";
  }
  return reason;
}

export function redisUnavailable(error: unknown, masked: string): AuthError {
  return unavailable(`redis ${masked}: ${faultOf(error)}`);
}
