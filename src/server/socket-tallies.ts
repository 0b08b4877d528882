import type { CloseName } from "../../protocol/close-codes.ts";
import type { Codec } from "../codec/codec.ts";
import type { Counters, Histograms } from "./metrics.ts";
import { Durations, type Pending, Tally } from "./tally.ts";

/** What is counted on every socket. */
export interface SocketTallies extends Pending {
  readonly opened: Readonly<Record<Codec["name"], Tally>>;
  readonly authenticated: Tally;
  readonly authenticationSeconds: Durations;
  closed(close: CloseName | "peer", authenticated: boolean): Tally;
}

export function createSocketTallies(count: Counters, time: Histograms): SocketTallies {
  const opened = {
    json: new Tally(count.socketsOpened, { codec: "json" }),
    msgpack: new Tally(count.socketsOpened, { codec: "msgpack" }),
  };
  const authenticated = new Tally(count.authentications, { result: "ok" });
  const authenticationSeconds = new Durations(time.authenticationSeconds);
  const closed = { true: new Map<string, Tally>(), false: new Map<string, Tally>() };
  const fixed: readonly Pending[] = [opened.json, opened.msgpack, authenticated, authenticationSeconds];
  return {
    ...{ opened, authenticated, authenticationSeconds },
    closed(close, wasAuthenticated) {
      const among = wasAuthenticated ? closed.true : closed.false;
      const known = among.get(close);
      if (known !== undefined) return known;
      const fresh = new Tally(count.socketsClosed, { close, authenticated: String(wasAuthenticated) });
      among.set(close, fresh);
      return fresh;
    },
    flush() {
      for (const each of [...fixed, ...closed.true.values(), ...closed.false.values()]) each.flush();
    },
  };
}
