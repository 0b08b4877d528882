import type { Peer } from "../auth/model.ts";
import type { ClientAddress } from "../net/client-address.ts";
import type { HttpRequest, HttpResponse } from "./endpoint.ts";

/** One request while an endpoint handles it. */
export interface Exchange {
  readonly request: HttpRequest;
  /** The client, as far as it is known. NOT authenticated. */
  readonly client: ClientAddress;
  readonly peer: Peer;
  /** What stands in the path for each `:name` of the route, percent-decoded. Anything that a client may send. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Runs what reads the body. Charges the client's address with the event-loop time that it takes. */
  timed<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** Answers, or throws `AuthError` if a check fails. Everything else that it throws is a defect, and a 5xx. */
export type Endpoint = (exchange: Exchange) => HttpResponse | Promise<HttpResponse>;
