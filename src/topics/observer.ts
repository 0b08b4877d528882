/** What topics tell metrics. Must not throw. */
export interface TopicsObserver {
  published(count: number): void;
  /** Messages that were handed to sockets. */
  delivered(count: number): void;
  /** Messages that did not reach a subscription; an unknown number counts as one. */
  lost(count: number): void;
  /** A client was told of lost messages. */
  gapTold(): void;
  /** A message was replaced by a newer one of its topic, as its subscriber asked. */
  conflated(): void;
  /** A subscription ended because its user may not read any of it any more. */
  permissionLost(): void;
}
