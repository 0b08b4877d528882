import type { Log } from "./log.ts";

/** Unauthenticated clients can cause such warnings too. After this many different ones there are no more. */
const mostWarnings = 16;

/** A warning for each new `key`, and not more than 16 in the life of the process. */
export function warnOnceEach(log: Pick<Log, "warn">): (key: string, fields: object, message: string) => void {
  const warned = new Set<string>();
  return (key, fields, message) => {
    if (warned.size >= mostWarnings || warned.has(key)) return;
    warned.add(key);
    log.warn(fields, message);
  };
}
