import type { Permissions } from "../auth/permissions/permissions.ts";
import type { Codec } from "../codec/codec.ts";
import type { Subscription } from "./subscription.ts";
import { TopicIndex } from "./topic-index.ts";

/**
 * Subscriptions of one pattern that get the same frames: they have the same rights, the same codec and the same id. One
 * decision and one encoding are for all of them.
 */
export interface SubscriberGroup {
  readonly permissions: Permissions;
  readonly codec: Codec;
  readonly id: number;
  /** Whether the clients take several messages in one frame. */
  readonly coalesces: boolean;
  readonly members: Set<Subscription>;
}

type GroupsByKey = Map<string, SubscriberGroup>;

interface PatternGroups {
  readonly byPermissions: Map<Permissions, GroupsByKey>;
  subscriptions: number;
}

/** This node's subscriptions by pattern, and in each pattern by group. */
export class SubscriberGroups {
  readonly #patterns = new TopicIndex<PatternGroups>();
  readonly #users = new Map<string, number>();
  #subscriptions = 0;

  get subscriptions(): number {
    return this.#subscriptions;
  }

  ofUser(userId: string): number {
    return this.#users.get(userId) ?? 0;
  }

  add(subscription: Subscription, permissions: Permissions): void {
    let ofPattern = this.#patterns.get(subscription.segments);
    if (ofPattern === undefined) {
      ofPattern = { byPermissions: new Map(), subscriptions: 0 };
      this.#patterns.set(subscription.segments, ofPattern);
    }
    ofPattern.subscriptions += 1;
    const { byPermissions } = ofPattern;
    let byKey = byPermissions.get(permissions);
    if (byKey === undefined) {
      byKey = new Map();
      byPermissions.set(permissions, byKey);
    }
    const group = groupOf(byKey, subscription, permissions);
    group.members.add(subscription);
    subscription.group = group;
    this.#count(subscription, 1);
  }

  remove(subscription: Subscription): void {
    const { group, segments } = subscription;
    if (group === undefined) return;
    subscription.group = undefined;
    group.members.delete(subscription);
    this.#count(subscription, -1);
    const ofPattern = this.#patterns.get(segments);
    if (ofPattern === undefined) return;
    ofPattern.subscriptions -= 1;
    if (group.members.size > 0) return;
    const { byPermissions } = ofPattern;
    const byKey = byPermissions.get(group.permissions);
    byKey?.delete(keyOf(group));
    if (byKey?.size === 0) byPermissions.delete(group.permissions);
    if (byPermissions.size === 0) this.#patterns.delete(segments);
  }

  regroup(subscription: Subscription, permissions: Permissions): void {
    if (subscription.group?.permissions === permissions) return;
    this.remove(subscription);
    this.add(subscription, permissions);
  }

  #count({ userId }: Subscription, more: number): void {
    this.#subscriptions += more;
    const count = this.ofUser(userId) + more;
    if (count > 0) this.#users.set(userId, count);
    else this.#users.delete(userId);
  }

  /** Subscriptions whose pattern stands for the topic, whether they may read it or not. */
  countOf(topic: readonly string[]): number {
    let count = 0;
    for (const { subscriptions } of this.#patterns.match(topic)) count += subscriptions;
    return count;
  }

  /** The groups of every pattern that stands for the topic. */
  *of(topic: readonly string[]): Iterable<SubscriberGroup> {
    for (const { byPermissions } of this.#patterns.match(topic))
      for (const byKey of byPermissions.values()) yield* byKey.values();
  }
}

function groupOf(
  byKey: GroupsByKey,
  { codec, id, session }: Subscription,
  permissions: Permissions,
): SubscriberGroup {
  const coalesces = session.features.has("coalesce_messages");
  const key = keyOf({ codec, id, coalesces });
  let group = byKey.get(key);
  if (group === undefined) {
    group = { permissions, codec, id, coalesces, members: new Set() };
    byKey.set(key, group);
  }
  return group;
}

function keyOf({ codec, id, coalesces }: Pick<SubscriberGroup, "codec" | "id" | "coalesces">): string {
  return `${codec.name} ${id} ${coalesces}`;
}
