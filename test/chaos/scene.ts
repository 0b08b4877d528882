import type { CommandResult } from "../support/command-line.ts";
import type { ChaosNode } from "./chaos-node.ts";
import type { History } from "./history.ts";
import type { Owner } from "./owner.ts";
import type { Holding, Person } from "./people.ts";

/** What the actors of a run share. */
export interface Scene {
  readonly nodes: readonly ChaosNode[];
  readonly history: History;
  readonly owner: Owner;
  readonly people: readonly Person[];
  /** Every session that was opened, also ended ones; logins add to it. */
  readonly holdings: Holding[];
  /** Aborted when the actors must stop. */
  readonly over: AbortSignal;
  /** Starts a parallel actor, which the run waits for. It never rejects. */
  spawn(actor: Promise<void>): void;
  socketName(): string;
  /** The command line on the same store. */
  gatehouse(args: readonly string[]): Promise<CommandResult>;
}

/** Waits, and ends early if the actors must stop. */
export function rest(ms: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (over.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      over.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    over.addEventListener("abort", done);
  });
}
