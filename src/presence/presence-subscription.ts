import { setTimeout as pause } from "node:timers/promises";
import type { ConnectionInfo, PresenceEvent } from "../../protocol/commands/presence.ts";
import type { SocketSession } from "../connection/session.ts";

/** How often a suspended socket is looked at, ms. */
const lookAgainMs = 500;

/**
 * What one subscriber is told. Changes that come while the client does not read, or while the socket is suspended, are not
 * kept: the client is told to list again.
 */
export class PresenceSubscription {
  readonly #session: SocketSession;
  readonly #id: number;
  /** The id of the subscriber's own connection. */
  readonly #ownId: string;
  #hasMissed = false;
  #isWaiting = false;
  #isOver = false;

  constructor(session: SocketSession, id: number, ownId: string) {
    this.#session = session;
    this.#id = id;
    this.#ownId = ownId;
  }

  /** What the subscriber may see of a change. */
  sendChanges(joined: readonly ConnectionInfo[], left: readonly ConnectionInfo[]): void {
    const isEmpty = joined.length === 0 && left.length === 0;
    if (this.#isOver || (isEmpty && !this.#hasMissed)) return;
    if (this.#hasMissed || !this.#isReading) this.sendResync();
    else this.#send({ joined: this.#marked(joined), left: this.#marked(left) });
  }

  /** Changes were missed: the client is told as soon as it reads. */
  sendResync(): void {
    this.#hasMissed = true;
    if (this.#isOver || this.#isWaiting) return;
    if (!this.#isReading) {
      this.#isWaiting = true;
      void this.#untilReading().then(() => {
        this.#isWaiting = false;
        this.sendResync();
      });
      return;
    }
    this.#hasMissed = false;
    this.#send({ resync: true });
  }

  /** The same, but the client is told with the next change that it may see. */
  markMissed(): void {
    this.#hasMissed = true;
  }

  end(): void {
    this.#isOver = true;
  }

  get #isReading(): boolean {
    return this.#session.mayRun && this.#session.hasRoom;
  }

  /** Never rejects. */
  async #untilReading(): Promise<void> {
    while (!this.#isOver && !this.#isReading) {
      await this.#session.untilRoom();
      if (!this.#session.mayRun) await pause(lookAgainMs, undefined, { ref: false });
    }
  }

  #marked(connections: readonly ConnectionInfo[]): ConnectionInfo[] {
    return connections.map((each) =>
      each.connection_id === this.#ownId ? { ...each, is_current: true } : each,
    );
  }

  #send(event: PresenceEvent): void {
    this.#session.send({ id: this.#id, type: "event", event });
  }
}
