/**
 * What the actors of a run did and observed, in the order of one monotonic clock, that of the process that holds them
 * all. An operation has two entries with one `id`: `invoke`, then its end. `ok`: it happened. `fail`: it certainly did
 * not. `info`: unknown (no answer, a fault of the server). An unsolicited message is a single `ok`.
 */
export type Phase = "invoke" | "ok" | "fail" | "info";

/**
 * A right that a request may need in addition to a live session: to come from a remote address, to be an administrator,
 * or to read the topic.
 */
export type Right = "remote" | "admin" | "topic";

/** The session, the node, and the socket if there is one. */
export interface Subject {
  readonly user: string;
  readonly session: string;
  readonly node: string;
  readonly socket?: string;
  readonly needs?: readonly Right[];
}

/** The parts of a revoke's answer that the checker uses. */
export interface Receipt {
  readonly effective?: string;
  readonly durability?: string;
}

/** One session by its id, or all sessions of a user. */
export interface Target {
  readonly user: string;
  readonly session?: string;
}

export type Action =
  | { readonly op: "login"; readonly user: string; readonly node: string; readonly session?: string }
  | ({ readonly op: "authenticate"; readonly socket: string; readonly dead?: boolean } & Subject)
  /** A command that was carried out, or a data frame that arrived. Neither ping nor a suspension message is one. */
  | ({ readonly op: "use"; readonly socket: string; readonly what: string } & Subject)
  | ({
      readonly op: "close";
      readonly socket: string;
      readonly code: number;
      readonly dead: boolean;
    } & Subject)
  | ({
      readonly op: "refresh";
      readonly presented: number;
      /** The answer's generation, and a fingerprint of the token itself. */
      readonly given?: number;
      readonly token?: string;
      readonly dead?: boolean;
      /** What came instead of an answer that decides, for whoever reads a failed history. */
      readonly why?: string;
    } & Subject)
  | { readonly op: "revoke"; readonly node: string; readonly target: Target; readonly receipt?: Receipt }
  /** The user keeps its sessions but loses a right, for the rest of the history. */
  | {
      readonly op: "narrow";
      readonly user: string;
      readonly node: string;
      readonly takes: Right;
      readonly receipt?: Receipt;
    }
  /** An authorization code or a one-time code; `secret` is its fingerprint. */
  | { readonly op: "redeem"; readonly secret: string; readonly user: string; readonly node: string }
  | { readonly op: "fault"; readonly what: string }
  /** The store lost what was committed from `since` on. */
  | { readonly op: "loss"; readonly since: number }
  /** `healed`: all faults have ended. From `quiet` on everything is expected to be repaired. */
  | { readonly op: "mark"; readonly name: "healed" | "quiet" };

export type Entry = Action & {
  readonly id: number;
  /** ms */
  readonly at: number;
  readonly actor: string;
  readonly phase: Phase;
};

/** Close codes 43xx: never again without a new login. */
export function saysEnded(code: number): boolean {
  return code >= 4300 && code <= 4399;
}

type Told<A> = A extends Action ? Partial<Omit<A, "op">> : never;

/** Records how an operation ended, once; later calls are ignored. */
export type Settle = (phase: Exclude<Phase, "invoke">, told?: Told<Action>) => void;

export class History {
  readonly #entries: Entry[] = [];
  readonly #now: () => number;
  #lastId = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  begin(actor: string, action: Action): Settle {
    this.#lastId += 1;
    const common = { ...action, id: this.#lastId, actor };
    this.#entries.push({ ...common, at: this.#now(), phase: "invoke" });
    let open = true;
    return (phase, told = {}) => {
      if (!open) return;
      open = false;
      this.#entries.push({ ...common, ...told, at: this.#now(), phase } as Entry);
    };
  }

  tell(actor: string, action: Action): void {
    this.#lastId += 1;
    this.#entries.push({ ...action, id: this.#lastId, at: this.#now(), actor, phase: "ok" });
  }

  /** One entry for each line. */
  toText(): string {
    return this.#entries.map((entry) => `${JSON.stringify({ ...entry, at: round(entry.at) })}\n`).join("");
  }
}

export function historyOf(text: string): readonly Entry[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Entry);
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
