import type { EventContext } from "../../protocol/commands/system.ts";
import type { TopicSubscription } from "../../protocol/commands/topics.ts";
import {
  hasTooManyWildcards,
  isReservedTopic,
  isTopicPattern,
  segmentsOf,
  topicLimits,
} from "../../protocol/topic-pattern.ts";
import { AuthError } from "../auth/errors.ts";
import { newId } from "../auth/ids.ts";
import type { Principal } from "../auth/model.ts";
import type { PermissionsReader } from "../auth/permissions/permissions.ts";
import type { LogProgress } from "../auth/revocation/log-progress.ts";
import type { JsonObject } from "../auth/store.ts";
import { UserMessageRates } from "../connection/message-rate.ts";
import { isOwnEvent } from "../connection/own-events.ts";
import type { SocketSession } from "../connection/session.ts";
import { type Message, namespaceOf, type Position, type Publisher, type TopicBroker } from "./broker.ts";
import { Delivery, parsePosition, positionText } from "./delivery.ts";
import { FanOut } from "./fan-out.ts";
import {
  type EventContent,
  type EventOrigin,
  eventPattern,
  eventTopic,
  maySubscribeToEvents,
} from "./home-assistant-events.ts";
import { type Following, Namespaces } from "./namespaces.ts";
import type { TopicsObserver } from "./observer.ts";
import { type NewMessage, Publishing, requireControl, saidOf } from "./publishing.ts";
import { Replay, type ReplayParts } from "./replay.ts";
import { RightsGate } from "./rights-gate.ts";
import { SocketTopics, type SocketTopicsParts } from "./socket-topics.ts";
import { SubscriberGroups } from "./subscriber-groups.ts";
import type { Subscription } from "./subscription.ts";
import type { OutletLimits } from "./topic-outlet.ts";
import { Verdicts } from "./verdicts.ts";
import type { WaitingLimits } from "./waiting-messages.ts";

export interface TopicsLimits {
  /** Bytes of a message's data as JSON. */
  readonly messageBytes: number;
  /** Messages that a user may publish over HTTP, or have delivered again, in a second, on average. */
  readonly requestsPerUser: number;
  /** What may wait for one client that does not read. */
  readonly outlet: OutletLimits;
  /** Messages that wait to be handed out. Default: `waitingLimits`. */
  readonly waiting?: WaitingLimits;
  /** Subscriptions of this node. */
  readonly subscriptions: number;
  /** Of them those of one user. */
  readonly subscriptionsPerUser: number;
}

export interface TopicsOptions {
  readonly permissions: PermissionsReader;
  readonly progress: LogProgress;
  readonly broker: TopicBroker;
  readonly clock: { readonly now: () => number; readonly monotonic: () => number };
  readonly observer: TopicsObserver;
  readonly limits: TopicsLimits;
  readonly onFault: (error: unknown) => void;
}

export interface SubscribeRequest {
  readonly id: number;
  readonly pattern: string;
  readonly last?: boolean | undefined;
  readonly conflate?: boolean | undefined;
  /** Of the shape of `TopicPosition`. */
  readonly position?: string | undefined;
}

export interface FiredEvent {
  readonly type: string;
  readonly data: JsonObject;
  readonly origin: EventOrigin;
}

/**
 * Messages by topic, and Home Assistant's events. Who gets a message is decided for each message, by the rights of that
 * moment. All methods reject with `AuthError`: `unavailable` if the rights are not known, or the broker is away.
 */
export interface Topics {
  /** Subscribes the socket until `disposables.dispose(id)`, its close, or the loss of its rights. */
  subscribe(session: SocketSession, request: SubscribeRequest): Promise<TopicSubscription>;
  /**
   * Home Assistant's events of this type; undefined: of all. `beginOwn` subscribes to the gateway's own, and returns what
   * ends that.
   */
  subscribeEvents(
    session: SocketSession,
    id: number,
    type: string | undefined,
    beginOwn: () => () => void,
  ): Promise<void>;
  /** Returns the message's position. */
  publish(session: SocketSession, message: NewMessage): Promise<string>;
  /** For administrators; for others `unauthorized`. `not_allowed` for an event that only the gateway fires. */
  fireEvent(session: SocketSession, event: FiredEvent): Promise<EventContext>;
  /**
   * Over HTTP: all messages or none. Returns their positions. `not_allowed` if the caller may not publish one of them,
   * `rate_limited` for more messages than the sockets of a user may send.
   */
  publishAs(caller: Principal, messages: readonly NewMessage[]): Promise<string[]>;
  /** Over HTTP, as `fireEvent`. */
  fireAs(caller: Principal, event: FiredEvent): Promise<EventContext>;
  /** Of this node. */
  readonly subscriptions: number;
  close(): Promise<void>;
}

/** Messages of a replay that are in memory at once, for one socket. Fewer if they may be large. */
const maxPiece = 32;
/** Subscriptions of one socket to one pattern. Each message of it costs a delivery to each of them. */
const maxOfOnePattern = 16;
const tooManyOfOnePattern = `A socket has at most ${maxOfOnePattern} subscriptions of one pattern.`;
const noLastValues = "A pattern with a wildcard in the first place has no last values.";

export function createTopics(options: TopicsOptions): Topics {
  return new NodeTopics(options);
}

class NodeTopics implements Topics {
  readonly #options: TopicsOptions;
  readonly #groups = new SubscriberGroups();
  readonly #verdicts = new Verdicts();
  readonly #namespaces: Namespaces;
  readonly #publishing: Publishing;
  readonly #fanOut: FanOut;
  readonly #gate: RightsGate;
  readonly #socketParts: SocketTopicsParts;
  readonly #replayParts: ReplayParts;
  readonly #sockets = new Map<SocketSession, SocketTopics>();
  /** Of messages over HTTP; those on sockets are counted with every other message. */
  readonly #rates: UserMessageRates;
  /** Of messages that are delivered again, to a user's subscriptions on this node. */
  readonly #replays: UserMessageRates;

  constructor(options: TopicsOptions) {
    this.#options = options;
    const { broker, clock, observer, progress, limits } = options;
    const monotonic = () => clock.monotonic();
    const now = () => clock.now();
    const shared = { ...options, monotonic, now, groups: this.#groups, verdicts: this.#verdicts };
    this.#rates = new UserMessageRates(limits.requestsPerUser);
    this.#replays = new UserMessageRates(limits.requestsPerUser);
    this.#publishing = new Publishing({ ...shared, messageBytes: limits.messageBytes });
    this.#fanOut = new FanOut({
      ...shared,
      waiting: limits.waiting,
      onTaken: ({ topic, position }) => this.#namespaces.passed(namespaceOf(topic), position),
      onLost: (namespace, upTo) => this.#gap(namespace, upTo),
    });
    this.#gate = new RightsGate({
      progress,
      monotonic,
      onPassed: (message) => this.#fanOut.add(message),
      onLost: (message) => this.#fanOut.afterArrived(namespaceOf(message.topic), () => this.#lost(message)),
    });
    const afterArrived = (namespace: string, task: () => void) =>
      this.#gate.inOrder(() => this.#fanOut.afterArrived(namespace, task));
    this.#namespaces = new Namespaces(broker, afterArrived);
    this.#socketParts = { ...shared, observer, fanOut: this.#fanOut, outletLimits: limits.outlet };
    this.#replayParts = {
      ...shared,
      gate: this.#gate,
      fanOut: this.#fanOut,
      mayReplay: (userId, messages) => this.#replays.take(userId, monotonic(), messages) === "pass",
      piece: Math.min(maxPiece, Math.max(1, Math.floor(limits.outlet.bytes / 2 / limits.messageBytes))),
    };
    broker.start({
      onMessage: (message) => this.#gate.add(message),
      onGap: (namespace, upTo) => {
        if (namespace === undefined) this.#fanOut.later(() => this.#gap(namespace, upTo));
        else afterArrived(namespace, () => this.#gap(namespace, upTo));
      },
    });
  }

  get subscriptions(): number {
    return this.#groups.subscriptions;
  }

  async subscribe(session: SocketSession, request: SubscribeRequest): Promise<TopicSubscription> {
    const { id, pattern, last = false, conflate = false } = request;
    const namespace = namespaceToFollow(pattern);
    if (last && namespace === undefined)
      throw new AuthError("not_supported", { publicMessage: noLastValues });
    const socket = this.#socketOf(session);
    await this.#requireRead(socket, pattern);
    this.#requireRoom(session);
    const following = this.#namespaces.follow(namespace);
    try {
      await following.ready;
      await this.#requireRead(socket, pattern);
      // In the tick in which it is added: many may have waited.
      this.#requireRoom(session);
      if (socket.countOf(pattern) >= maxOfOnePattern)
        throw new AuthError("not_allowed", { publicMessage: tooManyOfOnePattern });
      const onEnd = () => following.end();
      const subscription = socket.add({ id, pattern, conflates: conflate, isOfEvents: false }, onEnd);
      following.add(subscription);
      session.disposables.add(id, () => socket.end(subscription));
      const answer = await this.#begin(subscription, following, request);
      if (subscription.group === undefined && session.live) throw new AuthError("unauthorized");
      subscription.isAnswered = true;
      return answer;
    } catch (error) {
      session.disposables.dispose(id);
      following.end();
      throw error;
    }
  }

  async subscribeEvents(
    session: SocketSession,
    id: number,
    type: string | undefined,
    beginOwn: () => () => void,
  ): Promise<void> {
    const socket = this.#socketOf(session);
    if (!maySubscribeToEvents(await socket.permissions(), type)) throw new AuthError("unauthorized");
    this.#requireRoom(session);
    const pattern = eventPattern(type);
    const endOwn = beginOwn();
    let unfollow: () => void = () => undefined;
    const end = () => {
      unfollow();
      endOwn();
    };
    const subscription = socket.add({ id, pattern, conflates: false, isOfEvents: true }, end);
    // The gateway's own events need no broker, so the client does not wait for it.
    unfollow = this.#namespaces.followInBackground(namespaceOf(pattern), subscription);
    session.disposables.add(id, () => socket.end(subscription));
  }

  async publish(session: SocketSession, message: NewMessage): Promise<string> {
    requireControl(await this.#socketOf(session).permissions(), message);
    const publisher = publisherOf(session.principal);
    this.#requireRoomFor(publisher);
    const positions = await this.#publishing.publish([this.#publishing.publication(publisher, message)]);
    return positions.map(positionText).join();
  }

  async publishAs(caller: Principal, messages: readonly NewMessage[]): Promise<string[]> {
    this.#requireRate(caller, messages.length);
    const permissions = await this.#options.permissions.of(caller);
    const publisher = publisherOf(caller);
    this.#requireRoomFor(publisher);
    const publications = messages.map((message, place) =>
      saidOf(place, () => {
        requireControl(permissions, message, "not_allowed");
        return this.#publishing.publication(publisher, message);
      }),
    );
    return (await this.#publishing.publish(publications)).map(positionText);
  }

  async fireEvent(session: SocketSession, event: FiredEvent): Promise<EventContext> {
    const { isAdmin } = await this.#socketOf(session).permissions();
    return await this.#fire(isAdmin, publisherOf(session.principal), event);
  }

  async fireAs(caller: Principal, event: FiredEvent): Promise<EventContext> {
    this.#requireRate(caller, 1);
    const { isAdmin } = await this.#options.permissions.of(caller);
    return await this.#fire(isAdmin, publisherOf(caller), event);
  }

  async #fire(isAdmin: boolean, publisher: Publisher, event: FiredEvent): Promise<EventContext> {
    const { type, data, origin } = event;
    if (!isAdmin) throw new AuthError("unauthorized");
    if (isOwnEvent(type))
      throw new AuthError("not_allowed", { publicMessage: "Only the gateway fires this event." });
    this.#requireRoomFor(publisher);
    const content: EventContent = { type, data, origin, contextId: newId() };
    const publication = this.#publishing.publication(publisher, { topic: eventTopic(type), data });
    await this.#publishing.publish([{ ...publication, data: { ...content } }]);
    return { id: content.contextId, parent_id: null, user_id: publisher.userId };
  }

  async close(): Promise<void> {
    this.#gate.close();
    await this.#options.broker.close();
  }

  #requireRate({ userId }: Principal, messages: number): void {
    const verdict = this.#rates.take(userId, this.#options.clock.monotonic(), messages);
    if (verdict !== "pass") throw new AuthError("rate_limited", { retryAfterSeconds: 1 });
  }

  /** Refuses if too many deliveries wait, of this user or in all. */
  #requireRoomFor({ userId }: Publisher): void {
    const room = this.#fanOut.roomFor(userId);
    if (room === "full") throw new AuthError("rate_limited", { retryAfterSeconds: 1 });
    if (room === "overloaded")
      throw new AuthError("overloaded", { detail: "too many messages wait to be handed out" });
  }

  #socketOf(session: SocketSession): SocketTopics {
    let socket = this.#sockets.get(session);
    if (socket === undefined) {
      socket = new SocketTopics(this.#socketParts, session, () => this.#sockets.delete(session));
      this.#sockets.set(session, socket);
    }
    return socket;
  }

  async #requireRead(socket: SocketTopics, pattern: string): Promise<void> {
    const permissions = await socket.permissions();
    if (!this.#verdicts.mayReadSomeOf(permissions, pattern)) throw new AuthError("unauthorized");
  }

  #requireRoom({ principal }: SocketSession): void {
    const { subscriptions, subscriptionsPerUser } = this.#options.limits;
    if (this.subscriptions >= subscriptions)
      throw new AuthError("overloaded", { detail: "this node has as many subscriptions as it may" });
    if (this.#groups.ofUser(principal.userId) >= subscriptionsPerUser)
      throw new AuthError("overloaded", { detail: "the user has as many subscriptions as one may" });
  }

  /** Runs in the tick in which the subscription was added, up to its first wait. */
  async #begin(
    subscription: Subscription,
    following: Following,
    { position: since, last = false }: SubscribeRequest,
  ): Promise<TopicSubscription> {
    const { position } = following;
    if (position === null) return { position: null, resumed: false };
    if (since === undefined && !last) return { position: positionText(position), resumed: false };
    const replay = new Replay(this.#replayParts, subscription, following, position);
    const resumed = since !== undefined && (await replay.resumeAfter(parsePosition(since)));
    if (last && !resumed) await replay.showLast();
    replay.start();
    return { position: positionText(position), resumed };
  }

  /** Whoever may have got it is told. */
  #lost(message: Message): void {
    const delivery = new Delivery(message);
    this.#namespaces.passed(namespaceOf(message.topic), message.position);
    for (const group of this.#groups.of(delivery.segments)) {
      if (!delivery.mayReach(group.permissions, this.#verdicts)) continue;
      for (const subscription of group.members) this.#lose(subscription, 1);
    }
  }

  /** It is not known for whom the lost ones were. */
  #gap(namespace: string | undefined, upTo: Position | undefined): void {
    if (namespace !== undefined && upTo !== undefined) this.#namespaces.passed(namespace, upTo);
    for (const subscription of this.#namespaces.subscriptionsTo(namespace)) this.#lose(subscription, null);
  }

  #lose(subscription: Subscription, count: number | null): void {
    // Its replay reads them, if they are kept.
    if (subscription.isBehind) return;
    subscription.outlet.lose(subscription, count);
    this.#fanOut.later(() => subscription.outlet.resume());
  }
}

function publisherOf({ userId, sessionType }: Principal): Publisher {
  return { userId, isSystem: sessionType === "system" };
}

/** Undefined: any. Throws `invalid_format` for what is no pattern of a subscription. */
function namespaceToFollow(pattern: string): string | undefined {
  const invalid = (publicMessage: string) => new AuthError("invalid_format", { publicMessage });
  if (!isTopicPattern(pattern)) throw invalid("Not a pattern.");
  if (isReservedTopic(pattern)) throw invalid("Topics that begin with $ are reserved.");
  const segments = segmentsOf(pattern);
  if (hasTooManyWildcards(pattern))
    throw invalid(`A pattern has at most ${topicLimits.wildcards} segments +.`);
  const [first] = segments;
  return first === "+" || first === "#" ? undefined : first;
}
