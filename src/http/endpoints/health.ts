import { PROTOCOL_VERSION } from "../../../protocol/features.ts";
import { json } from "../answers.ts";
import type { Endpoint } from "../exchange.ts";
import type { Health } from "../health.ts";

/** `GET /healthz`: 200 while the process can answer at all. */
export function liveEndpoint(health: Health): Endpoint {
  return () => json({ status: "ok", protocol: PROTOCOL_VERSION, ...health.live() });
}

/** `GET /readyz`: 503 with the reasons while new sockets would be refused or told to try again. */
export function readyEndpoint(health: Health): Endpoint {
  return async () => {
    const report = await health.ready();
    return json(report, report.ready ? {} : { status: 503, headers: { "retry-after": "1" } });
  };
}
