import { setTimeout as pause } from "node:timers/promises";

import type { Message, Position } from "../../topics/broker.ts";
import type { ReceivedMessage } from "./topic-message-text.ts";

export interface NamespaceTailOptions {
  /** Undefined: not a message. */
  readonly parse: (text: string, position: Position) => Message | undefined;
  readonly readPosition: (known: Position | undefined) => Promise<Position>;
  readonly readHistory: (after: Position, upTo: number) => Promise<readonly Message[] | undefined>;
  readonly onMessage: (message: Message) => void;
  /** The position of the last message that may be lost. */
  readonly onGap: (upTo: Position) => void;
  readonly isClosed: () => boolean;
}

const retryMs = 250;
/** The newest messages that are remembered, and the size of their data. */
const remembered = { messages: 128, bytes: 65_536 } as const;
/** Messages that may wait while earlier ones are read. What comes over it is read again. */
const maxWaiting = 2_000;

/**
 * The messages of one namespace, each once and in order, although pub/sub loses some: a sequence that jumps shows that,
 * and a look at the position after each new connection. What is missing is read from the history.
 */
export class NamespaceTail {
  readonly #options: NamespaceTailOptions;
  /** Of the last message that was handed on. Undefined before the first. */
  #position: Position | undefined;
  /** What arrives while something is read. */
  #waiting: ReceivedMessage[] = [];
  #reading: Promise<void> | undefined;
  #mustReadAgain = false;
  /** In the order of their sequence, without a gap. */
  #recent: Message[] = [];
  #recentBytes = 0;

  constructor(options: NamespaceTailOptions) {
    this.#options = options;
  }

  get position(): Position | undefined {
    return this.#position;
  }

  /** As `TopicBroker.history`. Undefined also if they are not remembered here: many clients come back at once. */
  history(after: Position, upTo: number): readonly Message[] | undefined {
    const [first] = this.#recent;
    const last = this.#recent.at(-1);
    if (first === undefined || last === undefined || first.position.epoch !== after.epoch) return undefined;
    const from = after.sequence + 1 - first.position.sequence;
    const to = upTo + 1 - first.position.sequence;
    return from < 0 || to > this.#recent.length ? undefined : this.#recent.slice(from, to);
  }

  /** Resolves once the tail is at the server's position of this moment. Rejects with `unavailable`. */
  async begin(): Promise<void> {
    if (this.#position !== undefined) return;
    this.#reading ??= this.#readAs(async () => {
      this.#position = await this.#options.readPosition(undefined);
    });
    await this.#reading;
  }

  receive(message: ReceivedMessage): void {
    if (this.#reading === undefined) this.#take(message);
    else if (this.#waiting.push(message) > maxWaiting) {
      this.#waiting = [];
      this.#mustReadAgain = true;
    }
  }

  /** Messages may have been lost until now. */
  catchUp(): void {
    if (this.#position === undefined) return;
    if (this.#reading !== undefined) this.#mustReadAgain = true;
    else this.#reading = this.#readAs(() => this.#catchUp()).catch(() => undefined);
  }

  #take(message: ReceivedMessage): void {
    const { position } = message;
    const before = this.#position;
    if (before === undefined || position.epoch !== before.epoch) {
      if (before !== undefined)
        this.#options.onGap({ epoch: position.epoch, sequence: position.sequence - 1 });
      this.#handOn(this.#options.parse(message.text, position), position);
    } else if (position.sequence === before.sequence + 1)
      this.#handOn(this.#options.parse(message.text, position), position);
    else if (position.sequence > before.sequence) {
      this.#waiting.push(message);
      this.#reading = this.#readAs(() => this.#readMissing(before, position.sequence - 1)).catch(
        () => undefined,
      );
    }
  }

  #handOn(message: Message | undefined, position: Position): void {
    this.#position = position;
    if (message === undefined) this.#options.onGap(position);
    else this.#hand(message);
  }

  #hand(message: Message): void {
    const last = this.#recent.at(-1)?.position;
    const { epoch, sequence } = message.position;
    if (last?.epoch !== epoch || last.sequence + 1 !== sequence) {
      this.#recent = [];
      this.#recentBytes = 0;
    }
    this.#recent.push(message);
    this.#recentBytes += message.bytes;
    while (this.#recent.length > remembered.messages || this.#recentBytes > remembered.bytes)
      this.#recentBytes -= this.#recent.shift()?.bytes ?? 0;
    this.#options.onMessage(message);
  }

  async #readAs(read: () => Promise<void>): Promise<void> {
    try {
      await read();
      while (this.#mustReadAgain && !this.#options.isClosed()) {
        this.#mustReadAgain = false;
        await this.#catchUp();
      }
    } finally {
      this.#reading = undefined;
      const waiting = this.#waiting;
      this.#waiting = [];
      // Those of another epoch are from before the read.
      const epoch = this.#position?.epoch;
      for (const message of waiting) {
        if (epoch !== undefined && message.position.epoch !== epoch) continue;
        this.receive(message);
      }
    }
  }

  /** Tries until it succeeds: the store may be away for a while. */
  async #catchUp(): Promise<void> {
    while (!this.#options.isClosed()) {
      try {
        const before = this.#position;
        if (before === undefined) return;
        const now = await this.#options.readPosition(before);
        if (now.epoch === before.epoch) await this.#readMissing(before, now.sequence);
        else {
          this.#position = now;
          this.#options.onGap(now);
        }
        return;
      } catch {
        await pause(retryMs, undefined, { ref: false });
      }
    }
  }

  /** The position is `upTo` afterwards, whether the messages could be read or not. */
  async #readMissing(after: Position, upTo: number): Promise<void> {
    if (upTo <= after.sequence) return;
    for (;;) {
      try {
        const missing = await this.#options.readHistory(after, upTo);
        if (missing === undefined) this.#options.onGap({ epoch: after.epoch, sequence: upTo });
        for (const message of missing ?? []) this.#hand(message);
        this.#position = { epoch: after.epoch, sequence: upTo };
        return;
      } catch {
        if (this.#options.isClosed()) return;
        await pause(retryMs, undefined, { ref: false });
      }
    }
  }
}
