import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { type DestinationStream, destination, type LevelWithSilent, pino } from "pino";

import { redact, redactText } from "./redaction.ts";

/** Structured log: one JSON object a line. `fields` may be anything; secrets in it are masked on the way out. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** Writes out what is buffered, before the process ends. */
  flush(): void;
}

export interface LogOptions {
  readonly level: LevelWithSilent;
  /** Where lines go; standard error by default, so that standard output stays with the command. */
  readonly sink?: DestinationStream;
}

export function createLog({ level, sink }: LogOptions): Log {
  const output = sink ?? standardError();
  const base = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // Errors are plain by then: `redact` has copied what may be shown.
    serializers: { err: (copy: unknown) => copy },
  };
  const label = (name: string) => ({ level: name });
  const logger = pino({ ...base, formatters: { level: label, log: redactFields } }, output);
  const write = (at: "debug" | "info" | "warn" | "error") => (fields: object, message: string) =>
    logger[at](fields, redactText(message));
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    flush: () => flush(output),
  };
}

/** Buffered lines are written after this time at the latest, ms. */
const flushEveryMs = 50;
/**
 * Bytes that are collected before a write: a write for each line would cost more than what it tells of, and far more
 * bytes cost pino's destination more than the writes.
 */
const batchBytes = 4_096;
/** Bytes that may wait for a reader that hangs. Above that, lines are dropped, so that memory does not fill. */
const mostWaitingBytes = 16 * 1024 * 1024;

/**
 * Standard error, written in batches and in the background: a slow reader of the log does not block sockets. A
 * process that is killed may lose the last lines.
 */
function standardError(): DestinationStream & { flushSync(): void } {
  const stream = destination({
    dest: 2,
    sync: false,
    minLength: batchBytes,
    periodicFlush: flushEveryMs,
    maxLength: mostWaitingBytes,
  });
  // The reader went away (EPIPE): the gateway does not end because nobody reads its log.
  stream.on("error", () => undefined);
  return {
    write: (line) => stream.write(line),
    flushSync() {
      if (hasReader(2)) stream.flushSync();
      // The library would try that write for ever, here and when the process exits.
      else stream.destroy();
    },
  };
}

/** False for a pipe whose reader is gone, where that can be seen: on Linux a pipe without one cannot be opened. */
function hasReader(fd: number): boolean {
  try {
    if (!fstatSync(fd).isFIFO()) return true;
    closeSync(openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ENXIO");
  }
}

function flush(output: DestinationStream): void {
  if (!("flushSync" in output) || typeof output.flushSync !== "function") return;
  try {
    output.flushSync();
  } catch {
    // Not opened yet, or gone: there is nothing left to write to.
  }
}

function redactFields(fields: object): Record<string, unknown> {
  return redact(fields) as Record<string, unknown>;
}
