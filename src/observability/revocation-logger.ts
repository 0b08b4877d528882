import type { RevocationObserver } from "../auth/revocation/lease-manager.ts";
import type { RevocationPolicy } from "../auth/revocation/revocation.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** At most one record of each kind in this time, ms: a flood of entries in the log must not fill the disk. */
const alarmEveryMs = 10_000;

/** What happens to the lease, for people and for metrics. */
export function createRevocationLogger(log: Log, metrics: Metrics): RevocationObserver {
  const alarm = rarely((fields) =>
    log.error(fields, "entries of the revocation log have no MAC of this installation and are not applied"),
  );
  const failed = rarely((fields) => log.warn(fields, "a heartbeat could not be written"));
  return {
    badMac({ position }) {
      metrics.badMac();
      alarm({ alarm: "log_entry_forged", position });
    },
    logBroke(kind) {
      metrics.logBreak(kind);
      log.error({ alarm: "log_broken", break: kind }, breakTexts[kind]);
    },
    rollbackRepaired(count) {
      metrics.reasserted(count);
      log.warn({ revocations: count }, "what is remembered of revocations was written again");
    },
    recordRepaired: (userId, cause) =>
      log.warn(
        { user_id: userId, cause: cause ?? "rights_changed" },
        cause === "password_changed"
          ? "the store has lost a changed password: nobody logs in with this login until it is set again"
          : "the store had lost what was taken from this user, and it was taken again",
      ),
    leaseRecovered: () => log.info({}, "revocations are known up to now"),
    leaseLapsed() {
      metrics.leaseLapsed();
      log.warn(
        {},
        "the lease has ended: revocations may have passed unseen, nobody is served on what is known",
      );
    },
    heartbeatFailed: (error) => failed({ err: error }),
  };
}

const breakTexts = {
  lost: "the store has lost writes: its log is not the one that was followed",
  trimmed: "entries of the revocation log were trimmed before they were read",
} as const;

function rarely(write: (fields: object) => void): (fields: object) => void {
  let last = Number.NEGATIVE_INFINITY;
  let more = 0;
  return (fields) => {
    const now = performance.now();
    if (now - last < alarmEveryMs) {
      more += 1;
      return;
    }
    write(more === 0 ? fields : { ...fields, more });
    last = now;
    more = 0;
  };
}

/** Warned of at the start, because this policy promises less than the default. */
export function warnOfWeakPolicy(log: Log, policy: RevocationPolicy): void {
  if (policy === "serve_until_exp")
    log.warn(
      { revocation_policy: policy },
      "sockets are served without a lease until their access token ends: a revocation may take that long",
    );
}
