import { AuthError } from "../../auth/errors.ts";
import type { Position } from "../../topics/broker.ts";

export interface QueuedMessage {
  readonly namespace: string;
  readonly topic: string;
  readonly text: string;
  /** See `Publication`. */
  readonly retainMs: number | undefined;
}

interface Waiting extends QueuedMessage {
  resolve(position: Position): void;
  reject(error: unknown): void;
}

/** Messages and characters that one call publishes. */
const together = { messages: 128, characters: 1_000_000 } as const;
/** Messages that may wait for the call before. */
const maxWaiting = 10_000;

/**
 * Publishes messages in their order, one call after the other. What comes while a call runs goes together with the next
 * one. If a call fails, its messages fail, and the next ones are tried.
 */
export class PublishQueue {
  readonly #publish: (messages: readonly QueuedMessage[]) => Promise<readonly Position[]>;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(publish: (messages: readonly QueuedMessage[]) => Promise<readonly Position[]>) {
    this.#publish = publish;
  }

  /** Rejects with `overloaded` if too many wait. */
  add(message: QueuedMessage): Promise<Position> {
    if (this.#waiting.length >= maxWaiting)
      return Promise.reject(
        new AuthError("overloaded", { detail: "too many messages wait to be published" }),
      );
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...message, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves once nothing waits. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // What is published in this tick goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const messages = this.#next();
      try {
        const positions = await this.#publish(messages);
        for (const [at, { resolve, reject }] of messages.entries()) {
          const position = positions[at];
          if (position === undefined) reject(new AuthError("unavailable", { detail: "no position" }));
          else resolve(position);
        }
      } catch (error) {
        for (const { reject } of messages) reject(error);
      }
    }
    this.#running = undefined;
  }

  #next(): readonly Waiting[] {
    let characters = 0;
    let count = 0;
    while (count < this.#waiting.length && count < together.messages && characters < together.characters) {
      characters += this.#waiting[count]?.text.length ?? 0;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }
}
