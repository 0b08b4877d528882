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
  const records = pino({ ...base, formatters: { level: label } }, output);
  const write = (at: "debug" | "info" | "warn" | "error") => (fields: object, message: string) =>
    logger[at](fields, redactText(message));
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    record: (fields, message) => records.info(fields, message),
    flush: () => flush(output),
  };
}

/** Lines are written in the background: a slow reader of the log does not hold up sockets. */
function standardError(): DestinationStream {
  const stream = destination({ dest: 2, sync: false });
  // The reader went away (EPIPE): the gateway does not end because nobody reads its log.
  stream.on("error", () => undefined);
  return stream;
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
