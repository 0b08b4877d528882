import { type DestinationStream, destination, type LevelWithSilent, pino } from "pino";

import { redact, redactText } from "./redaction.ts";

/** Structured log: one JSON object a line. `fields` may be anything; secrets in it are masked on the way out. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /**
   * At `info`, without looking for secrets, several times cheaper: only for flat records of ids, addresses and words of
   * our own tables, once for every socket.
   */
  record(fields: Readonly<Record<string, string | number | null>>, message: string): void;
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
  const recorded = logger.isLevelEnabled("info");
  const beginning = createRecordBeginning();
  const write = (at: "debug" | "info" | "warn" | "error") => (fields: object, message: string) =>
    logger[at](fields, redactText(message));
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    record(fields, message) {
      if (recorded) output.write(recordLine(beginning(Date.now()), fields, message));
    },
    flush: () => flush(output),
  };
}

/** What pino writes for such a record, for a fraction of its time. A record has at least one field. */
function recordLine(beginning: string, fields: Parameters<Log["record"]>[0], message: string): string {
  return `${beginning}${JSON.stringify(fields).slice(1, -1)},"msg":${JSON.stringify(message)}}\n`;
}

/** The level and `now` (ms since the epoch) in ISO 8601; all but the milliseconds is written once a second. */
function createRecordBeginning(): (now: number) => string {
  let second = Number.NaN;
  let upToSecond = "";
  return (now) => {
    const present = Math.floor(now / 1000);
    if (present !== second) {
      second = present;
      upToSecond = `{"level":"info","time":"${new Date(now).toISOString().slice(0, 20)}`;
    }
    return `${upToSecond}${String(now - present * 1000).padStart(3, "0")}Z",`;
  };
}

/** As much is written at once: a write for each line would cost more than what it tells of. */
const batchCharacters = 32_768;
/** No line waits longer than this for company. */
const batchMs = 50;
/** What waits for a reader that is stuck; beyond it lines are dropped rather than memory filled. */
const mostWaitingBytes = 16 * 1024 * 1024;

/**
 * Standard error, written in batches and in the background: a slow reader of the log does not hold up sockets. A process
 * that is killed may lose the last lines.
 */
function standardError(): DestinationStream & { flushSync(): void } {
  const stream = destination({ dest: 2, sync: false, maxLength: mostWaitingBytes });
  // The reader went away (EPIPE): the gateway does not end because nobody reads its log.
  stream.on("error", () => undefined);
  let lines: string[] = [];
  let characters = 0;
  const hand = () => {
    if (lines.length > 0) stream.write(lines.join(""));
    lines = [];
    characters = 0;
  };
  return {
    write(line) {
      if (lines.length === 0) setTimeout(hand, batchMs).unref();
      lines.push(line);
      characters += line.length;
      if (characters >= batchCharacters) hand();
    },
    flushSync() {
      hand();
      stream.flushSync();
    },
  };
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
