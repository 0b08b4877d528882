import type { Peer } from "../auth/model.ts";
import type { ClientAddress } from "../net/client-address.ts";

/** One request on its way through an endpoint. */
export interface Exchange {
  readonly request: Request;
  readonly url: URL;
  /** Who asks, as far as it is known. NOT authenticated. */
  readonly client: ClientAddress;
  readonly peer: Peer;
}

/** Answers, or throws `AuthError` where a check fails; anything else that it throws is a defect and a 5xx. */
export type Endpoint = (exchange: Exchange) => Response | Promise<Response>;
