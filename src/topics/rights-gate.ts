import type { LogProgress } from "../auth/revocation/log-progress.ts";
import type { Message } from "./broker.ts";

/** So many messages may wait, each so long (ms). Beyond either the oldest are lost, and their subscribers are told. */
export const gateLimits = { messages: 2_000, waitMs: 5_000 } as const;

export interface RightsGateOptions {
  readonly progress: LogProgress;
  readonly monotonic: () => number;
  readonly onPassed: (message: Message) => void;
  readonly onLost: (message: Message) => void;
}

interface Waiting {
  /** A message, or a task in the order of messages. */
  readonly item: Message | (() => void);
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
    if (this.#waiting.length === 0 && this.#mayPass(message)) this.#options.onPassed(message);
    else this.#wait(message);
  }

  /** Runs the task once the messages that came before it have passed, or are lost. */
  inOrder(task: () => void): void {
    if (this.#waiting.length === 0) task();
    else this.#wait(task);
  }

  /**
   * Whether messages that were kept may be judged by the rights that this node knows. Waits as long as a message would.
   * False: they would be lost.
   */
  async whenMayPass(messages: readonly Message[]): Promise<boolean> {
    const rightsVersion = Math.max(0, ...messages.map((each) => (each.isOwn ? 0 : each.rightsVersion)));
    return await this.#options.progress.whenRead(rightsVersion, gateLimits.waitMs);
  }

  close(): void {
    this.#stop();
    clearTimeout(this.#timer);
    const waiting = this.#waiting;
    this.#waiting = [];
    // Whoever waits for its turn goes on.
    for (const { item } of waiting) if (typeof item === "function") item();
  }

  #wait(item: Waiting["item"]): void {
    this.#waiting.push({ item, since: this.#options.monotonic() });
    if (this.#waiting.length > gateLimits.messages) this.#lose(1);
    this.#timer ??= setTimeout(() => this.#expire(), gateLimits.waitMs).unref();
  }

  /** An own message's change was applied before it was published. */
  #mayPass({ isOwn, rightsVersion }: Message): boolean {
    return isOwn || rightsVersion <= this.#options.progress.readUpTo;
  }

  #release(): void {
    const first = this.#waiting.findIndex(({ item }) => typeof item !== "function" && !this.#mayPass(item));
    const passed = this.#waiting.splice(0, first < 0 ? this.#waiting.length : first);
    for (const { item } of passed) {
      if (typeof item === "function") item();
      else this.#options.onPassed(item);
    }
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
    for (const { item } of this.#waiting.splice(0, count)) {
      if (typeof item === "function") item();
      else this.#options.onLost(item);
    }
  }
}
