import type { Peer } from "../auth/model.ts";
import type { ClientAddress } from "../net/client-address.ts";

/** One request on its way through an endpoint. */
export interface Exchange {
  readonly request: Request;
  readonly url: URL;
  /** Who asks, as far as it is known. NOT authenticated. */
  readonly client: ClientAddress;
  readonly peer: Peer;
  /** Runs what reads the body, and charges the client's address with the time of the event loop that it takes. */
  timed<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** Answers, or throws `AuthError` where a check fails; anything else that it throws is a defect and a 5xx. */
export type Endpoint = (exchange: Exchange) => Response | Promise<Response>;
