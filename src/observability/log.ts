import { fstatSync, writeSync } from "node:fs";
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
    timestamp: isoTime(),
    // Errors are plain by then: `redact` has copied what may be shown.
    serializers: { err: (copy: unknown) => copy },
  };
  const logger = pino({ ...base, formatters: { level: (name) => ({ level: name }) } }, output);
  const write = (at: "debug" | "info" | "warn" | "error") => (fields: object, message: string) => {
    if (logger.isLevelEnabled(at)) logger[at](redact(fields), redactText(message));
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    flush: () => flush(output),
  };
}

/**
 * The time of a line in ISO 8601, as pino's own `isoTime`. Within a second only the milliseconds are written anew: the
 * text of a Date takes a third of the time of a whole line.
 */
function isoTime(): () => string {
  let second = Number.NaN;
  let upToSecond = "";
  return () => {
    const now = Date.now();
    const milliseconds = now % 1000;
    if (now - milliseconds !== second) {
      second = now - milliseconds;
      upToSecond = new Date(second).toISOString().slice(0, -"000Z".length);
    }
    return `,"time":"${upToSecond}${String(milliseconds).padStart(3, "0")}Z"`;
  };
}

/** Buffered lines are written after this time at the latest, ms. */
const flushEveryMs = 50;
/** Bytes that are collected before a write, which a thread of the pool carries out. A write for each line would cost more than it. */
const batchBytes = 65_536;
const mostBytesAtOnce = 4 * batchBytes;
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
    // Lines go in as bytes: of text, the library measures the whole batch again with each line.
    contentMode: "buffer",
    minLength: batchBytes,
    maxWrite: mostBytesAtOnce,
    periodicFlush: flushEveryMs,
    maxLength: mostWaitingBytes,
  });
  // Its types name only text.
  const bytes = stream as { write(line: string | Buffer): boolean };
  // The reader went away (EPIPE): the gateway does not end because nobody reads its log.
  stream.on("error", () => undefined);
  return {
    write: (line) => bytes.write(Buffer.from(line)),
    flushSync() {
      if (hasReader(2)) stream.flushSync();
      // The library would try that write for ever, here and when the process exits.
      else stream.destroy();
    },
  };
}

/**
 * False if nobody reads any more. Only a write shows that. A socket (journald's, or a parent process that is Node) refuses
 * also a write of nothing; a pipe does not, so an empty line goes before the last lines there.
 */
function hasReader(fd: number): boolean {
  try {
    const kind = fstatSync(fd);
    if (kind.isSocket()) writeSync(fd, "");
    if (kind.isFIFO()) writeSync(fd, "\n");
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && gone.has(String(error.code)));
  }
}

const gone: ReadonlySet<string> = new Set(["EPIPE", "ECONNRESET"]);

function flush(output: DestinationStream): void {
  if (!("flushSync" in output) || typeof output.flushSync !== "function") return;
  try {
    output.flushSync();
  } catch {
    // Not opened yet, or gone: there is nothing left to write to.
  }
}
