import type { Action, Entry, Phase } from "./history.ts";

export type Name = Action["op"];
type Of<N extends Name> = Extract<Action, { op: N }>;

/** An operation with both its ends. One that never ended is `info` with an infinite end. */
export type Operation<N extends Name = Name> = Of<N> & {
  readonly id: number;
  readonly actor: string;
  readonly invokedAt: number;
  readonly endedAt: number;
  readonly phase: Exclude<Phase, "invoke">;
};

/** Joins the entries of each operation, in the order in which they began. */
export function operationsOf(entries: readonly Entry[]): readonly Operation[] {
  const begun = new Map<number, Entry>();
  const joined = new Map<number, Operation>();
  for (const entry of entries) {
    const { at, phase, ...rest } = entry;
    if (phase === "invoke") {
      begun.set(entry.id, entry);
      joined.set(entry.id, {
        ...rest,
        invokedAt: at,
        endedAt: Number.POSITIVE_INFINITY,
        phase: "info",
      } as Operation);
    } else {
      const invokedAt = begun.get(entry.id)?.at ?? at;
      // An abandoned operation may still be carried out.
      const endedAt = phase === "info" ? Number.POSITIVE_INFINITY : at;
      joined.set(entry.id, { ...rest, invokedAt, endedAt, phase } as Operation);
    }
  }
  return [...joined.values()];
}

export function named<N extends Name>(operations: readonly Operation[], op: N): readonly Operation<N>[] {
  return operations.filter((operation): operation is Operation<N> => operation.op === op);
}

/** One line for reports. */
export function lineOf(operation: Operation): string {
  const { id, actor, invokedAt, endedAt, phase, op, ...rest } = operation as Operation & {
    readonly [key: string]: unknown;
  };
  const end = Number.isFinite(endedAt) ? endedAt.toFixed(1) : "never";
  const span = invokedAt === endedAt ? end : `${invokedAt.toFixed(1)}..${end}`;
  const facts = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return `#${id} ${span} ${actor} ${op} ${phase} ${facts.join(" ")}`;
}
