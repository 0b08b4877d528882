import type { Clock } from "../clock.ts";
import type { RevocationCause } from "../model.ts";
import type { Step, Store } from "../store.ts";
import type { Journal } from "./journal.ts";

/** What both kinds of revoke are made with. */
export interface EndingTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly journal: Journal;
}

export interface EndingRequest {
  readonly cause: RevocationCause;
  readonly revocationId: string;
  readonly also: Step | undefined;
}
