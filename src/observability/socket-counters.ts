import type { CloseName } from "../../protocol/close-codes.ts";
import type { Codec } from "../codec/codec.ts";
import { BatchedCounter, Durations, type Pending } from "./batched-counter.ts";
import type { Counters, Histograms } from "./metrics.ts";

/** What is counted on every socket. */
export interface SocketCounters extends Pending {
  readonly opened: Readonly<Record<Codec["name"], BatchedCounter>>;
  readonly authenticated: BatchedCounter;
  readonly authenticationSeconds: Durations;
  closed(close: CloseName | "peer", authenticated: boolean): BatchedCounter;
}

export function createSocketCounters(count: Counters, time: Histograms): SocketCounters {
  const opened = {
    json: new BatchedCounter(count.socketsOpened, { codec: "json" }),
    msgpack: new BatchedCounter(count.socketsOpened, { codec: "msgpack" }),
  };
  const authenticated = new BatchedCounter(count.authentications, { result: "ok" });
  const authenticationSeconds = new Durations(time.authenticationSeconds);
  const closed = { true: new Map<string, BatchedCounter>(), false: new Map<string, BatchedCounter>() };
  const fixed: readonly Pending[] = [opened.json, opened.msgpack, authenticated, authenticationSeconds];
  return {
    opened,
    authenticated,
    authenticationSeconds,
    closed(close, wasAuthenticated) {
      const among = wasAuthenticated ? closed.true : closed.false;
      const known = among.get(close);
      if (known !== undefined) return known;
      const fresh = new BatchedCounter(count.socketsClosed, {
        close,
        authenticated: String(wasAuthenticated),
      });
      among.set(close, fresh);
      return fresh;
    },
    flush() {
      for (const each of [...fixed, ...closed.true.values(), ...closed.false.values()]) each.flush();
    },
  };
}
