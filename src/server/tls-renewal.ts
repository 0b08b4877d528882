import type { Clock } from "../auth/clock/clock.ts";
import type { Log } from "../observability/log.ts";
import type { Listener } from "../transport/transport.ts";
import { ConfigError } from "./config/problems.ts";
import { readTlsFiles, type TlsFileNames } from "./tls-files.ts";
import { warnOfCertificateEnd } from "./tls-warnings.ts";

export interface TlsRenewalOptions {
  readonly config: TlsFileNames;
  readonly clock: Clock;
  readonly log: Log;
  /** The current listener, if any. Never rejects. */
  readonly listener: () => Promise<Listener | undefined>;
}

/**
 * Returns a function that gives the listener the pair that the files hold now. Calls run one after another: the later
 * of two renewals reads later, so an older pair never replaces a newer one.
 */
export function createTlsRenewal(options: TlsRenewalOptions): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(() => renew(options));
    return last;
  };
}

async function renew({ config, clock, log, listener }: TlsRenewalOptions): Promise<void> {
  try {
    const files = await readTlsFiles(config);
    if (files === undefined) return log.info({}, "there is no TLS certificate to renew");
    const served = await listener();
    if (served === undefined) return;
    served.renewTls(files.pair);
    log.info({ ends: new Date(files.endsAt).toISOString() }, "TLS certificate renewed");
    warnOfCertificateEnd(log, files.endsAt, clock.now());
  } catch (error) {
    const fields = error instanceof ConfigError ? { problem: error.message } : { err: error };
    log.error(fields, "the TLS certificate was not renewed; the previous one stays in use");
  }
}
