import { AuthError } from "../../auth/errors.ts";
import type { ClientAddress } from "../../net/client-address.ts";
import type { Endpoint } from "../exchange.ts";

export interface MetricsSource {
  /** Prometheus' text format. */
  render(): Promise<{ readonly body: string; readonly contentType: string }>;
  mayRead(client: ClientAddress): boolean;
}

/** `GET /metrics`, for the configured readers. Everybody else gets 404. */
export function metricsEndpoint(source: MetricsSource): Endpoint {
  return async ({ client }) => {
    if (!source.mayRead(client))
      throw new AuthError("not_found", { detail: "the address may not read metrics" });
    const { body, contentType } = await source.render();
    return { status: 200, headers: { "content-type": contentType }, body };
  };
}
