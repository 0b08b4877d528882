/**
 * What the actors of a run did and were told, in the order of one monotonic clock, that of the process that holds them
 * all. An operation is two entries with one `id`: `invoke`, then how it ended: `ok`; `fail`, it certainly did not
 * happen; `info`, nobody knows (no answer, a fault of the server). A thing that just arrives is a single `ok`.
 */
export type Phase = "invoke" | "ok" | "fail" | "info";

/** What somebody may need beside a session that lives: to come from elsewhere, to be an administrator. */
export type Right = "remote" | "admin";

/** Whose session it is, where it was asked, and on which socket, if any. */
export interface Subject {
  readonly user: string;
  readonly session: string;
  readonly node: string;
  readonly socket?: string;
  readonly needs?: readonly Right[];
}

/** What a revoke was answered with, as far as it says anything. */
export interface Receipt {
  readonly effective?: string;
  readonly durability?: string;
}

/** A session by its id, or all that a user has. */
export interface Target {
  readonly user: string;
  readonly session?: string;
}

export type Action =
  | { readonly op: "login"; readonly user: string; readonly node: string; readonly session?: string }
  | ({ readonly op: "authenticate"; readonly socket: string; readonly dead?: boolean } & Subject)
  /** A command that was carried out, or a data frame that came. Neither ping nor what tells of a suspension is one. */
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
    } & Subject)
  | { readonly op: "revoke"; readonly node: string; readonly target: Target; readonly receipt?: Receipt }
  /** The user keeps its sessions and has a right less, for the rest of the history. */
  | { readonly op: "narrow"; readonly user: string; readonly node: string; readonly takes: Right }
  /** An authorization code or a one-time code; `secret` is its fingerprint. */
  | { readonly op: "redeem"; readonly secret: string; readonly user: string; readonly node: string }
  | { readonly op: "fault"; readonly what: string }
  /** The store forgot what was committed from `since` on, and knows it. */
  | { readonly op: "loss"; readonly since: number }
  /** All faults are over; from `quiet` on everything is expected to have been put right. */
  | { readonly op: "mark"; readonly name: "healed" | "quiet" };

export type Entry = Action & {
  readonly id: number;
  /** ms */
  readonly at: number;
  readonly actor: string;
  readonly phase: Phase;
};

/** Close codes 43xx: never again without a new login. */
export function saysDead(code: number): boolean {
  return code >= 4300 && code <= 4399;
}

type Told<A> = A extends Action ? Partial<Omit<A, "op">> : never;

/** How an operation ended, once; what comes later is not written down. */
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

  /** One entry a line. */
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
