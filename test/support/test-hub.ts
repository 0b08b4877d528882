import { createHub, type Hub } from "../../src/connection/hub.ts";
import { createTimerWheel } from "../../src/connection/timer-wheel.ts";
import { handClock } from "./hand-clock.ts";
import { quietLog } from "./quiet-log.ts";

/** A real hub of its own, without users. */
export function testHub(options: Partial<Parameters<typeof createHub>[0]> = {}): Hub {
  return createHub({
    users: { read: async () => undefined },
    limits: { socketsPerSession: 100_000, socketsPerUser: 100_000 },
    wheel: createTimerWheel({ clock: handClock(), onError: () => undefined }),
    log: quietLog,
    onEvent: () => undefined,
    ...options,
  });
}
