import { type Message, namespaceOf, type Position } from "./broker.ts";
import { Delivery } from "./delivery.ts";

export type Task = () => void;

export interface WaitingLimits {
  /** What may wait of one user. It is full once both are reached: so many messages, and so many deliveries. */
  readonly share: { readonly messages: number; readonly deliveries: number };
  /** Of all users together. Bytes are those of data. */
  readonly total: { readonly messages: number; readonly bytes: number };
}

export const waitingLimits: WaitingLimits = {
  share: { messages: 128, deliveries: 1_048_576 },
  total: { messages: 20_000, bytes: 64 * 1024 * 1024 },
};

/**
 * Messages of a user are dropped beyond so many shares. This node's publishers are refused after one (`roomFor`). Other nodes
 * do not know what waits here, so theirs get another.
 */
const lostBeyond = 2;
/** Messages of one namespace before the next one has its turn. */
const turn = 16;

/** What is handed out together. Beyond one of them no namespace has another turn in the round. */
const round = { messages: 256, bytes: 262_144, deliveries: 65_536 } as const;

interface Waiting {
  readonly delivery: Delivery;
  /** Rises with each message. */
  readonly arrived: number;
  /** Subscriptions that were there for it when it came. */
  readonly cost: number;
}

/** Messages of the namespace up to the position were not kept waiting. */
interface Lost {
  upTo: Position;
}

type Item = Waiting | Lost | Task;

interface Lane {
  items: Item[];
  /** The last round that has messages of it. */
  round: number;
}

interface UserLoad {
  messages: number;
  deliveries: number;
}

export interface WaitingMessagesOptions {
  /** The message is being handed out: a subscription from now on does not get it. */
  readonly onTaken: (message: Message) => void;
  /** Too much waited, so messages of the namespace up to the position are lost. */
  readonly onLost: (namespace: string, upTo: Position) => void;
  /** Runs the task. Never throws. */
  readonly attempt: (task: Task) => void;
  /** Default: `waitingLimits`. */
  readonly limits?: WaitingLimits | undefined;
}

/**
 * The messages that have arrived at this node and wait to be handed out. Those of one namespace keep their order.
 * Namespaces have turns: whoever publishes more than can be handed out delays those of their own namespaces, and these by
 * no more than what may wait of one user.
 */
export class WaitingMessages {
  readonly #options: WaitingMessagesOptions;
  readonly #limits: WaitingLimits;
  /** By namespace. The next one in turn is first. */
  readonly #lanes = new Map<string, Lane>();
  readonly #users = new Map<string, UserLoad>();
  #messages = 0;
  #bytes = 0;
  #arrived = 0;
  #round = 0;

  constructor(options: WaitingMessagesOptions) {
    this.#options = options;
    this.#limits = options.limits ?? waitingLimits;
  }

  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  /** `full`: as much of the user's waits as may. `overloaded`: of all users'. */
  roomFor(userId: string): "room" | "full" | "overloaded" {
    if (this.#isOverloaded) return "overloaded";
    return this.#isFull(userId, 1) ? "full" : "room";
  }

  /** `cost`: subscriptions that are there for the message. */
  add(message: Message, cost: number): void {
    const namespace = namespaceOf(message.topic);
    const { userId } = message.publisher;
    const { items } = this.#laneOf(namespace);
    const last = items.at(-1);
    if (!this.#isOverloaded && !this.#isFull(userId, lostBeyond)) {
      this.#count(message, cost, 1);
      items.push({ delivery: new Delivery(message), arrived: this.#arrived++, cost });
    } else if (last !== undefined && "upTo" in last) last.upTo = message.position;
    else items.push({ upTo: message.position });
  }

  /** Runs the task once the namespace's messages that have arrived are handed out. */
  addTask(namespace: string, task: Task): void {
    this.#laneOf(namespace).items.push(task);
  }

  /** The messages of the next round. */
  take(): readonly Delivery[] {
    this.#round += 1;
    const taken: Waiting[] = [];
    const held: [string, Lane][] = [];
    const left: Record<keyof typeof round, number> = { ...round };
    while (left.messages > 0 && left.bytes > 0 && left.deliveries > 0) {
      const [next] = this.#lanes;
      if (next === undefined) break;
      const [namespace, lane] = next;
      if (lane.round !== this.#round) this.#runTasks(namespace, lane);
      for (const each of this.#takeTurn(lane, Math.min(turn, left.messages))) {
        taken.push(each);
        left.messages -= 1;
        left.bytes -= each.delivery.message.bytes;
        left.deliveries -= each.cost;
      }
      this.#lanes.delete(namespace);
      if (isWaiting(lane.items[0])) this.#lanes.set(namespace, lane);
      // A task waits until these messages are handed out.
      else if (lane.items.length > 0) held.push(next);
    }
    // Turns matter only if something has to wait.
    if (this.#lanes.size === 0) taken.sort((one, other) => one.arrived - other.arrived);
    for (const [namespace, lane] of held) this.#lanes.set(namespace, lane);
    return taken.map(({ delivery }) => delivery);
  }

  get #isOverloaded(): boolean {
    const { total } = this.#limits;
    return this.#messages >= total.messages || this.#bytes >= total.bytes;
  }

  #isFull(userId: string, shares: number): boolean {
    const { messages, deliveries } = this.#limits.share;
    const load = this.#users.get(userId);
    return load !== undefined && load.messages >= shares * messages && load.deliveries >= shares * deliveries;
  }

  #laneOf(namespace: string): Lane {
    let lane = this.#lanes.get(namespace);
    if (lane === undefined) {
      lane = { items: [], round: 0 };
      this.#lanes.set(namespace, lane);
    }
    return lane;
  }

  #runTasks(namespace: string, { items }: Lane): void {
    for (let [item] = items; item !== undefined && !isWaiting(item); [item] = items) {
      items.shift();
      const { onLost, attempt } = this.#options;
      if (typeof item === "function") attempt(item);
      else {
        const { upTo } = item;
        attempt(() => onLost(namespace, upTo));
      }
    }
  }

  #takeTurn(lane: Lane, count: number): readonly Waiting[] {
    const end = lane.items.slice(0, count).findIndex((item) => !isWaiting(item));
    const taken = lane.items.splice(0, end < 0 ? count : end).filter(isWaiting);
    if (taken.length > 0) lane.round = this.#round;
    for (const { delivery, cost } of taken) {
      this.#count(delivery.message, cost, -1);
      this.#options.onTaken(delivery.message);
    }
    return taken;
  }

  #count({ bytes, publisher: { userId } }: Message, cost: number, sign: 1 | -1): void {
    this.#messages += sign;
    this.#bytes += sign * bytes;
    const load = this.#users.get(userId) ?? { messages: 0, deliveries: 0 };
    load.messages += sign;
    load.deliveries += sign * cost;
    if (load.messages > 0) this.#users.set(userId, load);
    else this.#users.delete(userId);
  }
}

function isWaiting(item: Item | undefined): item is Waiting {
  return item !== undefined && "delivery" in item;
}
