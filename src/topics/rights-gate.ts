import type { LogProgress } from "../auth/revocation/log-progress.ts";
import type { Message } from "./broker.ts";

/** Messages that may wait, and how long, ms. What comes over it is lost, and its subscribers are told. */
export const gateLimits = { messages: 2_000, waitMs: 5_000 } as const;

export interface RightsGateOptions {
  readonly progress: LogProgress;
  readonly monotonic: () => number;
  readonly onPassed: (message: Message) => void;
  readonly onLost: (message: Message) => void;
}

interface Waiting {
  readonly message: Message;
  readonly since: number;
}

/**
 * Holds back messages that another node published after a change of rights that this node has not applied yet: they
 * would be judged by the old rights. The log delivers the change within moments, or this node's lease ends.
 */
export class RightsGate {
  readonly #options: RightsGateOptions;
  readonly #stop: () => void;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RightsGateOptions) {
    this.#options = options;
    this.#stop = options.progress.onRead(() => this.#release());
  }

  /** The order of the messages is kept. */
  add(message: Message): void {
    if (this.#waiting.length === 0 && this.#mayPass(message)) {
      this.#options.onPassed(message);
      return;
    }
    this.#waiting.push({ message, since: this.#options.monotonic() });
    if (this.#waiting.length > gateLimits.messages) this.#lose(1);
    this.#timer ??= setTimeout(() => this.#expire(), gateLimits.waitMs).unref();
  }

  close(): void {
    this.#stop();
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  /** An own message's change was applied before it was published. */
  #mayPass({ isOwn, rightsVersion }: Message): boolean {
    return isOwn || rightsVersion <= this.#options.progress.readUpTo;
  }

  #release(): void {
    const first = this.#waiting.findIndex(({ message }) => !this.#mayPass(message));
    const passed = this.#waiting.splice(0, first < 0 ? this.#waiting.length : first);
    for (const { message } of passed) this.#options.onPassed(message);
  }

  #expire(): void {
    this.#timer = undefined;
    const until = this.#options.monotonic() - gateLimits.waitMs;
    const first = this.#waiting.findIndex(({ since }) => since > until);
    this.#lose(first < 0 ? this.#waiting.length : first);
    this.#release();
    if (this.#waiting.length > 0)
      this.#timer = setTimeout(() => this.#expire(), gateLimits.waitMs / 10).unref();
  }

  #lose(count: number): void {
    for (const { message } of this.#waiting.splice(0, count)) this.#options.onLost(message);
  }
}
