import { readFileSync } from "node:fs";

import { storedJson } from "./damage.ts";
import type { Tables } from "./tables.ts";

/** The process that serves from this folder. */
export interface LockHolder {
  readonly pid: number;
  /**
   * Boot id and start time in clock ticks, if the system has /proc. A process that reuses the pid is not the holder.
   */
  readonly startedAt: string | null;
  /** A new token for every opening, so that a gateway notices if its lock was taken over. */
  readonly token: string;
}

const lockKey = Buffer.from("gateway");

export function readLock(tables: Tables): LockHolder | undefined {
  const text = tables.state.get(lockKey);
  return text === undefined ? undefined : (storedJson(text, "its lock cannot be read") as LockHolder);
}

/**
 * Call inside a transaction only. Takes the lock, also from a dead holder; returns the holder if it is alive. Two
 * gateways that start at once run this one after the other, so the second is refused.
 */
export function takeLock(tables: Tables, own: LockHolder): LockHolder | undefined {
  const holder = readLock(tables);
  if (holder !== undefined && isAlive(holder)) return holder;
  tables.state.putSync(lockKey, JSON.stringify(own));
  return undefined;
}

/** Call inside a transaction only. */
export function releaseLock(tables: Tables, own: LockHolder): void {
  if (readLock(tables)?.token === own.token) tables.state.removeSync(lockKey);
}

/** Call inside a transaction only. For a copy of the store, which nobody serves from. */
export function clearLock(tables: Tables): void {
  tables.state.removeSync(lockKey);
}

export function thisProcess(token: string): LockHolder {
  return { pid: process.pid, startedAt: startTimeIn(statOf(process.pid)), token };
}

export function isAlive(holder: LockHolder): boolean {
  if (!exists(holder.pid)) return false;
  const stat = statOf(holder.pid);
  if (stat !== undefined && isOver(stat)) return false;
  const startedAt = startTimeIn(stat);
  return startedAt === null || holder.startedAt === null || startedAt === holder.startedAt;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** From field 3 on of proc(5)'s stat. The name in field 2 may hold spaces and parentheses, so it is left out. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/**
 * State (field 3) and threads (field 20): a process that was killed, and whose parent has not asked for its exit code yet. Its
 * files are closed. While other threads than the first are left, a write may still be on its way.
 */
function isOver(stat: readonly string[]): boolean {
  return stat[0] === "Z" && Number(stat[17]) <= 1;
}

/** Field 22. */
function startTimeIn(stat: readonly string[] | undefined): string | null {
  if (stat === undefined) return null;
  try {
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()}:${stat[19] ?? ""}`;
  } catch {
    return null;
  }
}
