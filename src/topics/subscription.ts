import { segmentsOf } from "../../protocol/topic-pattern.ts";
import type { Permissions } from "../auth/permissions/permissions.ts";
import type { Codec } from "../codec/codec.ts";
import type { SocketSession } from "../connection/session.ts";
import type { SubscriberGroup } from "./subscriber-groups.ts";
import type { TopicOutlet } from "./topic-outlet.ts";

/** Whose subscription it is. */
export interface RightsSource {
  /** What they may do at this moment. */
  readonly rights: Permissions | undefined;
}

export interface SubscriptionOptions {
  readonly session: SocketSession;
  readonly codec: Codec;
  readonly outlet: TopicOutlet;
  readonly caller: RightsSource;
  readonly userId: string;
  /** Of the command that made it. */
  readonly id: number;
  readonly pattern: string;
  readonly conflates: boolean;
  /** One of Home Assistant's: it never ends for a lack of rights, and knows no gaps. */
  readonly isOfEvents: boolean;
  /** Called once, at the end. */
  readonly onEnd: () => void;
}

/** One subscription of one socket. */
export class Subscription {
  readonly session: SocketSession;
  readonly codec: Codec;
  readonly outlet: TopicOutlet;
  /** Whose session it is, at its start. */
  readonly userId: string;
  readonly id: number;
  readonly pattern: string;
  readonly segments: readonly string[];
  readonly conflates: boolean;
  readonly isOfEvents: boolean;
  readonly onEnd: () => void;
  readonly #rights: RightsSource;
  /** With whom it is decided on; undefined after its end. */
  group: SubscriberGroup | undefined;
  /** The last round of the fan-out whose messages were decided on. */
  round = 0;
  /** Messages that were lost and not told yet; null: an unknown number. */
  gap: number | null = 0;
  /** A `Replay` hands it what comes, until it has everything that was handed out to others. */
  isBehind = false;
  /** The command that made it was answered, so its client knows it. */
  isAnswered = false;

  constructor(options: SubscriptionOptions) {
    this.session = options.session;
    this.codec = options.codec;
    this.outlet = options.outlet;
    this.userId = options.userId;
    this.id = options.id;
    this.pattern = options.pattern;
    this.segments = segmentsOf(options.pattern);
    this.conflates = options.conflates;
    this.isOfEvents = options.isOfEvents;
    this.onEnd = options.onEnd;
    this.#rights = options.caller;
  }

  /** Those of this moment. Undefined after its end. The group follows a little later. */
  get permissions(): Permissions | undefined {
    return this.group === undefined ? undefined : this.#rights.rights;
  }

  /** So many messages do not reach the client; null: an unknown number. */
  lose(count: number | null): void {
    this.gap = this.gap === null || count === null ? null : this.gap + count;
  }
}
