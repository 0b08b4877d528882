import { setTimeout as pause } from "node:timers/promises";

import { AuthError } from "../../errors.ts";
import type { LoginProvider, NewUsers, ProviderStep } from "../provider.ts";
import { shownName } from "../provider-type.ts";
import { readModuleStep } from "./module-step.ts";
import type { ModuleProvider } from "./provider-module.ts";

export const moduleType = "module";
/** Shorter than the time for which a step of a flow belongs to one call, ms. */
const stepMs = 9_000;

export interface ModuleEntry {
  readonly id: string | null;
  readonly name?: string | undefined;
  readonly path: string;
  /** Undefined: as the module says. */
  readonly newUsers: NewUsers | undefined;
}

/**
 * A provider that a module made. Whatever it does wrong is an error that names the module, and ends what it was
 * asked for, nothing else: a throw, an answer that is none, no answer. What judges addresses refuses then.
 */
export function guardedProvider(entry: ModuleEntry, made: ModuleProvider): LoginProvider {
  const { path } = entry;
  const fault = (what: string, cause?: unknown) => moduleFault(path, what, cause);
  const step = async (what: string, work: () => unknown): Promise<ProviderStep> => {
    const answer = await answered(path, what, work);
    const read = readModuleStep(answer);
    if (read === undefined) throw fault(`${what} answered with what is no step`);
    return read;
  };
  const judge = (work: () => unknown): boolean => {
    try {
      return work() === true;
    } catch {
      return false;
    }
  };
  const { admits, isOffered, guessedName, warnings } = made;
  return {
    type: moduleType,
    id: entry.id,
    name: shownName("Module", entry),
    supportsMfa: made.supportsMfa !== false,
    newUsers: entry.newUsers ?? made.newUsers,
    upgradeHeaders: made.upgradeHeaders,
    ...(admits && { admits: (peer) => judge(() => admits.call(made, peer)) }),
    ...(isOffered && { isOffered: (peer) => judge(() => isOffered.call(made, peer)) }),
    ...(guessedName && {
      guessedName(stepId, input) {
        const name = attempt(
          () => guessedName.call(made, stepId, input),
          (cause) => fault("guessedName threw", cause),
        );
        if (name !== undefined && typeof name !== "string") throw fault("guessedName gave no text");
        return name;
      },
    }),
    ...(warnings && {
      async warnings() {
        const found: unknown = await answered(path, "warnings", () => warnings.call(made));
        return Array.isArray(found) ? found.map(String) : [];
      },
    }),
    begin: (context) => step("begin", () => made.begin(context)),
    advance: (stepId, input, state, context) =>
      step("advance", () => made.advance(stepId, input, state, context)),
  };
}

/** For commands, which do not run modules: nobody logs in by one. */
export function absentProvider(entry: ModuleEntry): LoginProvider {
  const absent = () => Promise.resolve<ProviderStep>({ kind: "abort", reason: "not_allowed" });
  const { id } = entry;
  const name = shownName("Module", entry);
  return { type: moduleType, id, name, supportsMfa: true, begin: absent, advance: absent };
}

/** A fault of a module. The message names it. */
export class ModuleError extends Error {}

export function moduleFault(path: string, what: string, cause?: unknown): ModuleError {
  const reason = cause instanceof Error ? `: ${cause.message}` : "";
  return new ModuleError(`the login provider module ${path}: ${what}${reason}`, { cause });
}

function attempt<T>(work: () => T, onThrow: (cause: unknown) => Error): T {
  try {
    return work();
  } catch (cause) {
    throw onThrow(cause);
  }
}

async function answered(path: string, what: string, work: () => unknown): Promise<unknown> {
  const stop = new AbortController();
  const late = pause(stepMs, undefined, { signal: stop.signal, ref: false }).then(() => {
    throw new AuthError("unavailable", {
      detail: `the login provider module ${path}: ${what} does not answer`,
    });
  });
  try {
    return await Promise.race([Promise.resolve().then(work), late]);
  } catch (error) {
    throw error instanceof AuthError ? error : moduleFault(path, `${what} threw`, error);
  } finally {
    stop.abort();
    late.catch(() => undefined);
  }
}
