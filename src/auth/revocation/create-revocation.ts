import type { Clock } from "../clock.ts";
import { newId } from "../ids.ts";
import type { Weakened } from "../protections.ts";
import type { Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { createCutListeners } from "./cut-listeners.ts";
import { type CountLimits, countLimits } from "./ended-count.ts";
import type { Ended, EndingRequest } from "./ending.ts";
import { createEpochEnding } from "./epoch-ending.ts";
import { createIntake, type Intake } from "./intake.ts";
import { createJournal, type Journal } from "./journal.ts";
import { Keeper, type RevocationObserver } from "./keeper.ts";
import { endKeys } from "./key-ending.ts";
import { createLease } from "./lease.ts";
import { createLogSeal } from "./log-seal.ts";
import { createMembers } from "./members.ts";
import type { RevocationPolicy } from "./policy.ts";
import { reassert } from "./reassertion.ts";
import type { Lessenings } from "./record-reassertion.ts";
import type { Revocation, RevokeReceipt, RevokeTarget } from "./revocation.ts";
import { createSessionEnding } from "./session-ending.ts";
import { createSettling } from "./settling.ts";
import { createUserEnding } from "./user-ending.ts";
import { createRevocationView, type GrowingView, rememberedOf } from "./view.ts";

export interface RevocationOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** What the lease is measured by, a time that nobody has judged; `clock` by default. */
  readonly machineClock?: Clock;
  readonly sealing: Pick<Sealing, "derive">;
  /** The longest life of an ordinary access token, ms: how far back the view has to remember. */
  readonly longestTokenMs: number;
  /** What this node does without a lease, for the others to know; `suspend` by default. */
  readonly policy?: RevocationPolicy;
  /** See `StoreGuarantee`; by default it is not known, and no node counts as fenced. */
  readonly isolationMs?: () => number;
  readonly weakened?: Weakened;
  readonly observer?: Partial<RevocationObserver>;
  /** What records have to lose again after the store went back in time; by default nothing. */
  readonly lessenings?: Lessenings;
  /** Of sessions that an epoch has ended. */
  readonly counting?: CountLimits;
  /** Told of a listener that threw; the revocation itself stands. */
  readonly onListenerFault?: (error: unknown) => void;
  /** The log says that some node changed the signing keys, or dropped these; may come twice. */
  readonly onKeyringChanged?: (dropped: readonly string[]) => void;
  /** Reads the signing keys after a break of the log, and writes again what the store lost of them. */
  readonly restoreKeyring?: () => Promise<void>;
}

/** The one way to take something away, and the way in which everything that logs commits. */
export function createRevocation(
  options: RevocationOptions,
): Revocation & Journal & { readonly view: GrowingView } {
  const { view, lease, keeper, members, settling, listeners, journal, intake, standpoint } = compose(options);
  const rememberedMs = rememberedOf(options.longestTokenMs);
  const tools = { store: options.store, clock: options.clock, journal, rememberedMs };
  const endSessions = createSessionEnding(tools);
  const endUser = createUserEnding(tools);
  const endEpoch = createEpochEnding(tools, options.counting ?? countLimits);
  const end = (target: RevokeTarget, request: EndingRequest) => {
    if (target.kind === "user") return endUser(target, request);
    return target.kind === "sessions" ? endSessions(target, request) : endEpoch(target, request);
  };
  const carryOut = async (revocationId: string, commit: () => Promise<Ended>): Promise<RevokeReceipt> => {
    intake.begin(revocationId);
    settling.begin(revocationId);
    try {
      const ended = await commit();
      return settling.committed({ revocationId, socketsClosed: intake.end(revocationId) }, ended);
    } catch (error) {
      intake.end(revocationId);
      settling.abandon(revocationId);
      throw error;
    }
  };

  return {
    view,
    commit: journal.commit,
    onCut: listeners.add,
    apply(entries) {
      standpoint.deliveredAt = options.clock.monotonic();
      intake.deliver(entries);
    },
    broke: (kind) => keeper.broke(kind),
    setFeed({ since, follower }) {
      members.caughtUp();
      view.reachesBackTo(since);
      standpoint.role = "node";
      keeper.start(follower);
    },
    setWatch({ since, isolationMs, unheard }) {
      members.caughtUp();
      view.reachesBackTo(since);
      Object.assign(standpoint, { role: "watcher", isolationMs, running: unheard });
    },
    lease: {
      started: keeper.started,
      beat: () => keeper.beat(),
      leave: () => keeper.leave(),
      ageMs: lease.ageMs,
      get driftMs() {
        return keeper.driftMs;
      },
      get nodes() {
        return members.alive + 1;
      },
    },
    watch: settling.watch,
    settled: (receipt) =>
      new Promise((resolve) => {
        const listening = settling.watch(receipt.revocationId, (present, done) => {
          if (done) resolve(present);
        });
        if (listening === undefined) resolve(receipt);
      }),
    revoke: (target, cause, { also, revocationId = newId() } = {}) =>
      carryOut(revocationId, () => end(target, { cause, revocationId, also })),
    dropKeys(keyIds, also) {
      const revocationId = newId();
      return carryOut(revocationId, () => endKeys(journal, { keyIds, revocationId, also }));
    },
  };
}

const ignored = () => undefined;
const nothing = async () => undefined;
const silent: RevocationObserver = {
  ...{ badMac: ignored, broke: ignored, reasserted: ignored, lessened: ignored },
  ...{ recovered: ignored, lapsed: ignored, heartbeatFailed: ignored },
};

/** What this process is to its installation, and how it knows what it knows of the other nodes. */
interface Standpoint {
  role: "node" | "watcher" | undefined;
  isolationMs: number | undefined;
  running: number;
  deliveredAt: number;
}

function compose(options: RevocationOptions) {
  const { store, clock, longestTokenMs, weakened = new Set(), onListenerFault = ignored } = options;
  const { policy = "suspend", isolationMs = () => Number.POSITIVE_INFINITY } = options;
  const { lessenings = { ofUser: nothing, ofLogin: nothing } } = options;
  const observer = { ...silent, ...options.observer };
  const node = newId();
  const seal = createLogSeal(options.sealing);
  const { machineClock = clock } = options;
  const lease = createLease(machineClock, weakened);
  const followed = weakened.has("followed_server") ? () => 0 : () => keeper.stretch;
  const view = createRevocationView({ clock, longestTokenMs, lease, followed, weakened });
  const members = createMembers({ clock, self: node, longestTokenMs });
  const standpoint: Standpoint = {
    ...{ role: undefined, isolationMs: undefined, running: 0, deliveredAt: Number.NEGATIVE_INFINITY },
  };
  const settling = createSettling({
    ...{ clock, members },
    isolationMs: () => standpoint.isolationMs ?? isolationMs(),
    // An old primary that still takes commits after that time would have lost its office later.
    provenAt: () => (standpoint.role === "watcher" ? standpoint.deliveredAt : lease.provenAt()),
    serves: () => standpoint.role === "node",
    running: () => standpoint.running,
    comparePositions: (a, b) => store.comparePositions(a, b),
  });
  const journal: Journal = createJournal({ store, clock, seal, apply: (entries) => intake.own(entries) });
  const keeper = new Keeper({
    ...{ node, store, clock, machineClock, seal, lease, view, settling, policy, weakened, observer },
    restoreKeyring: options.restoreKeyring ?? nothing,
    reassert: () =>
      reassert({
        ...{ store, clock, journal, lessenings, memory: view.memory },
        rememberedMs: rememberedOf(longestTokenMs),
        onLessened: observer.lessened,
      }),
  });
  const listeners = createCutListeners(onListenerFault);
  const intake: Intake = createIntake({
    ...{ node, seal, weakened, view, keeper, members, settling, listeners, observer },
    onKeyringChanged: options.onKeyringChanged ?? ignored,
  });
  return { view, lease, keeper, members, settling, listeners, journal, intake, standpoint };
}
