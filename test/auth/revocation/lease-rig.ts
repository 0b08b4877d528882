import { type AuthorityOptions, createAuthority } from "../../../src/auth/authority.ts";
import type { RevocationObserver } from "../../../src/auth/revocation/lease-manager.ts";
import type { RevocationPolicy } from "../../../src/auth/revocation/revocation.ts";
import type { LogEntry, Store } from "../../../src/auth/store.ts";
import { openRedisStore } from "../../../src/store/redis/redis-store.ts";
import { cheapScrypt } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { type HandClock, handClock } from "../../support/hand-clock.ts";
import { within } from "../../support/within.ts";

/** A node whose lease cycles and clock the test controls, and the reading of its log too, if asked. */
export interface HandNode {
  readonly authority: Awaited<ReturnType<typeof createAuthority>>;
  readonly store: Store;
  readonly clock: HandClock;
  readonly reported: string[];
  /** One cycle of the lease. */
  beat(): Promise<void>;
  /** Runs cycles until the view is trusted. */
  beatUntilTrusted(): Promise<void>;
  /** From now on entries that the follower delivers are held. */
  hold(): void;
  /** The held entries, once there are `count`. They are not applied. */
  held(count: number): Promise<readonly LogEntry[]>;
  /** Applies the entries that `held` returned, or others, and lets the follower continue. */
  release(entries?: readonly LogEntry[]): void;
  stop(): Promise<void>;
}

export interface HandNodeOptions {
  /** The URL of a Redis, or a store that closes with the node. */
  readonly url: string | Store;
  readonly clock?: HandClock;
  readonly disabledSafeguards?: AuthorityOptions["disabledSafeguards"];
  readonly policy?: RevocationPolicy;
  readonly stalePrimaryWindowMs?: number;
  /** When the Sentinels last confirmed the primary, by the rig's clock. */
  readonly primaryConfirmedAt?: () => number;
  /** Awaited before records are read from the store. */
  readonly beforeGet?: () => Promise<void>;
}

const secret = Buffer.alloc(32, 7);

export async function startHandNode(options: HandNodeOptions): Promise<HandNode> {
  const {
    url,
    clock = handClock(Date.now()),
    policy = "suspend",
    stalePrimaryWindowMs = 0,
    disabledSafeguards,
  } = options;
  const opened = typeof url === "string" ? await openRedisStore({ url, timeoutMs: 5_000 }) : url;
  const store: Store = withHooks(opened, options);
  const reported: string[] = [];
  const observer = observing(reported);
  const authority = await createAuthority({
    store,
    clock,
    secret,
    issuer: () => "https://gatehouse.test",
    audience: () => "gatehouse",
    passwords: { parameters: cheapScrypt, workers: 1 },
    revocation: { policy, stalePrimaryWindowMs: () => stalePrimaryWindowMs, observer },
    disabledSafeguards,
  });
  const { revocation } = authority;
  let waiting: LogEntry[] | undefined;
  const take = (entries: readonly LogEntry[]) => {
    if (waiting === undefined) revocation.apply(entries);
    else waiting.push(...entries);
  };
  const follower = store.follow(clock.now() - 3_600_000, take, revocation.logBroke);
  const { since } = await within(follower.caughtUp, "the end of the log");
  revocation.setFeed({ since, follower });
  return {
    authority,
    store,
    clock,
    reported,
    beat: () => revocation.lease.beat(),
    async beatUntilTrusted() {
      await eventually("trust", async () => {
        await revocation.lease.beat();
        return revocation.view.trusted;
      });
    },
    hold() {
      waiting = [];
    },
    async held(count) {
      await eventually(`${count} entries`, async () => (waiting?.length ?? 0) >= count);
      return waiting?.splice(0) ?? [];
    },
    release(entries = []) {
      const useReadAge = waiting ?? [];
      waiting = undefined;
      revocation.apply([...entries, ...useReadAge]);
    },
    async stop() {
      await follower.stop();
      await authority.close();
      await store.close();
    },
  };
}

function withHooks(store: Store, { primaryConfirmedAt, beforeGet }: HandNodeOptions): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "primaryConfirmedAt" && primaryConfirmedAt !== undefined) return primaryConfirmedAt;
      if (name === "get" && beforeGet !== undefined)
        return async (...keys: Parameters<Store["get"]>) => {
          await beforeGet();
          return await target.get(...keys);
        };
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function observing(reported: string[]): RevocationObserver {
  return {
    badMac: () => void reported.push("badMac"),
    logBroke: (kind) => void reported.push(kind),
    rollbackRepaired: (count) => void reported.push(`rollback_repaired ${count}`),
    recordRepaired: (userId, cause) => void reported.push(`repaired ${userId} ${cause}`),
    leaseRecovered: () => void reported.push("recovered"),
    leaseLapsed: () => void reported.push("lapsed"),
    heartbeatFailed: () => void reported.push("failed"),
  };
}
