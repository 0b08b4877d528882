import { type DestinationStream, destination, type LevelWithSilent, pino } from "pino";

import { LineBatch } from "./line-batch.ts";
import { redact, redactText } from "./redaction.ts";

/** Structured log: one JSON object a line. `fields` may be anything; secrets in it are masked on the way out. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /**
   * At `info`, without looking for secrets, several times cheaper: only for records of ids, addresses and words of our own
   * tables, once for every socket. `members` is their JSON text between the braces, not empty; see `jsonText`.
   */
  record(members: string, message: string): void;
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
    record(members, message) {
      if (recorded) output.write(`${beginning(Date.now())}${members},"msg":${jsonText(message)}}\n`);
    },
    flush: () => flush(output),
  };
}

const plainText = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** As JSON.stringify, for short texts that hardly ever need an escape: a record of ids is written in half the time. */
export function jsonText(value: string | null): string {
  if (value === null) return "null";
  return plainText.test(value) ? `"${value}"` : JSON.stringify(value);
}

/** The level and `now` (ms since the epoch) in ISO 8601: the seconds are written once a second, the rest once a ms. */
function createRecordBeginning(): (now: number) => string {
  let second = Number.NaN;
  let upToSecond = "";
  let last = Number.NaN;
  let beginning = "";
  return (now) => {
    if (now === last) return beginning;
    last = now;
    const present = Math.floor(now / 1000);
    if (present !== second) {
      second = present;
      upToSecond = `{"level":"info","time":"${new Date(now).toISOString().slice(0, 20)}`;
    }
    beginning = `${upToSecond}${String(now - present * 1000).padStart(3, "0")}Z",`;
    return beginning;
  };
}

/** What waits for a reader that is stuck; beyond it lines are dropped rather than memory filled. */
const mostWaitingBytes = 16 * 1024 * 1024;

/**
 * Standard error, written in batches and in the background: a slow reader of the log does not hold up sockets. A process
 * that is killed may lose the last lines.
 */
function standardError(): DestinationStream & { flushSync(): void } {
  const stream = destination({
    dest: 2,
    sync: false,
    contentMode: "buffer",
    maxLength: mostWaitingBytes,
  });
  // Its types do not follow `contentMode`.
  const write = stream.write.bind(stream) as (lines: string | Uint8Array) => boolean;
  // The reader went away (EPIPE): the gateway does not end because nobody reads its log.
  stream.on("error", () => undefined);
  const batch = new LineBatch(write);
  stream.on("drain", () => batch.taken());
  return {
    write: (line) => batch.add(line),
    flushSync() {
      batch.hand();
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
