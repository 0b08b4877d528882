import type { Position, TopicBroker } from "./broker.ts";
import type { Subscription } from "./subscription.ts";

const retryMs = 1_000;

/** One namespace that subscriptions of this node follow. */
interface Followed {
  readonly ready: Promise<void>;
  readonly subscriptions: Set<Subscription>;
  users: number;
  /** Of the last message that was handed out or lost, or that came before the first one; null until the broker delivers. */
  position: Position | null;
}

/** What a subscription follows; `end` once it does not any more. */
export interface Following {
  /** Resolves once the broker delivers. Rejects with `unavailable`. */
  readonly ready: Promise<unknown>;
  /**
   * Once it is ready: of the last message that a subscription does not get if it begins now. Null: it follows all
   * namespaces.
   */
  readonly position: Position | null;
  /** Gaps of what is followed concern this subscription. */
  add(subscription: Subscription): void;
  end(): void;
}

/** Which namespaces the broker delivers to this node. */
export class Namespaces {
  readonly #broker: Pick<TopicBroker, "follow" | "unfollow" | "followAll" | "unfollowAll">;
  readonly #afterArrived: (namespace: string, task: () => void) => void;
  readonly #followed = new Map<string, Followed>();
  readonly #ofAll = new Set<Subscription>();

  /** `afterArrived` runs the task once every message of the namespace that has arrived is handed out, or lost. */
  constructor(
    broker: Pick<TopicBroker, "follow" | "unfollow" | "followAll" | "unfollowAll">,
    afterArrived: (namespace: string, task: () => void) => void,
  ) {
    this.#broker = broker;
    this.#afterArrived = afterArrived;
  }

  /** Undefined: all of them. */
  follow(namespace: string | undefined): Following {
    return namespace === undefined ? this.#followAll() : this.#followOne(namespace);
  }

  /**
   * Follows the namespace for a subscription whose client does not wait for it: if the broker is away, it is tried again.
   * Returns what ends it.
   */
  followInBackground(namespace: string, subscription: Subscription): () => void {
    let isOver = false;
    let following: Following | undefined;
    let timer: NodeJS.Timeout | undefined;
    const begin = () => {
      const begun = this.follow(namespace);
      following = begun;
      begun.add(subscription);
      begun.ready.catch(() => {
        begun.end();
        if (!isOver) timer = setTimeout(begin, retryMs).unref();
      });
    };
    begin();
    return () => {
      isOver = true;
      clearTimeout(timer);
      following?.end();
    };
  }

  /** The namespace's messages up to the position are being handed out, or are lost: who begins now does not get them. */
  passed(namespace: string, position: Position): void {
    const followed = this.#followed.get(namespace);
    if (followed !== undefined) followed.position = position;
  }

  /** Whom lost messages of the namespace concern; undefined: of any that nobody follows by name. */
  subscriptionsTo(namespace: string | undefined): readonly Subscription[] {
    const named = namespace === undefined ? undefined : this.#followed.get(namespace)?.subscriptions;
    return [...(named ?? []), ...this.#ofAll];
  }

  #followOne(namespace: string): Following {
    const followed = this.#followed.get(namespace) ?? this.#begin(namespace);
    followed.users += 1;
    const added = new Set<Subscription>();
    let isOver = false;
    return {
      ready: followed.ready,
      get position() {
        return followed.position;
      },
      add: (subscription) => {
        added.add(subscription);
        followed.subscriptions.add(subscription);
      },
      end: () => {
        if (isOver) return;
        isOver = true;
        for (const subscription of added) followed.subscriptions.delete(subscription);
        followed.users -= 1;
        if (followed.users > 0) return;
        if (this.#followed.get(namespace) === followed) this.#followed.delete(namespace);
        followed.ready.then(
          () => this.#broker.unfollow(namespace),
          () => undefined,
        );
      },
    };
  }

  #begin(namespace: string): Followed {
    const followed: Followed = {
      ready: this.#broker
        .follow(namespace)
        .then((position) => this.#untilHandedOut(namespace, followed, position)),
      subscriptions: new Set(),
      users: 0,
      position: null,
    };
    this.#followed.set(namespace, followed);
    // The next one tries again.
    followed.ready.catch(() => {
      if (this.#followed.get(namespace) === followed) this.#followed.delete(namespace);
    });
    return followed;
  }

  /**
   * Messages from before the position may have arrived, for whoever follows all namespaces, and wait to be handed out. A
   * subscription that began now would get them after an answer that says it has them.
   */
  #untilHandedOut(namespace: string, followed: Followed, { epoch, sequence }: Position): Promise<void> {
    return new Promise((resolve) => {
      this.#afterArrived(namespace, () => {
        const { position } = followed;
        const isBehind = position?.epoch !== epoch || position.sequence < sequence;
        if (isBehind) followed.position = { epoch, sequence };
        resolve();
      });
    });
  }

  #followAll(): Following {
    const ready = this.#broker.followAll();
    const added = new Set<Subscription>();
    let isOver = false;
    return {
      ready,
      position: null,
      add: (subscription) => {
        added.add(subscription);
        this.#ofAll.add(subscription);
      },
      end: () => {
        if (isOver) return;
        isOver = true;
        for (const subscription of added) this.#ofAll.delete(subscription);
        ready.then(
          () => this.#broker.unfollowAll(),
          () => undefined,
        );
      },
    };
  }
}
