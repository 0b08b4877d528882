import { type DestinationStream, destination, type LevelWithSilent, pino } from "pino";

import { redact, redactText } from "./redaction.ts";

/** Structured log: one JSON object a line. `fields` may be anything; secrets in it are masked on the way out. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /**
   * Waits for what is buffered to be written, at most 3 s, before the process ends. False if a reader that hangs did not take
   * it: the rest is given up, and a thread may still be in the middle of a write.
   */
  flush(): Promise<boolean>;
}

export interface LogOptions {
  readonly level: LevelWithSilent;
  /** Where lines go; standard error by default, so that standard output stays with the command. */
  readonly sink?: DestinationStream;
  /** How long `flush` waits for a slow reader of standard error, ms; 3,000 by default. */
  readonly flushWithinMs?: number;
}

export function createLog({ level, sink, flushWithinMs = 3_000 }: LogOptions): Log {
  const output: Output = sink ?? standardError(flushWithinMs);
  const base = {
    level,
    base: null,
    timestamp: isoTime(),
    // Errors are plain by then: `redact` has copied what may be shown.
    serializers: { err: (copy: unknown) => copy },
  };
  const logger = pino({ ...base, formatters: { level: (name) => ({ level: name }) } }, output);
  const write = (at: "debug" | "info" | "warn" | "error") => (fields: object, message: string) => {
    if (logger.isLevelEnabled(at)) logger[at](readable(fields), redactText(message));
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    flush: async () => (await output.flush?.()) ?? true,
  };
}

/** Whoever logs must not fail because a getter, or a `toJSON`, of what is logged throws. */
function readable(fields: object): unknown {
  try {
    return redact(fields);
  } catch {
    return { fields: "[unreadable]" };
  }
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
/** How often a flush looks whether all is written, ms. */
const flushLooksEveryMs = 5;

interface Output extends DestinationStream {
  flush?(): Promise<boolean>;
}

/**
 * Standard error, written in batches and in the background: a slow reader of the log does not block sockets. A
 * process that is killed may lose the last lines.
 */
function standardError(flushWithinMs: number): Output {
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
  const lines = stream as { write(line: string | Buffer): boolean };
  let waitingBytes = 0;
  let lastWriteFailed = false;
  let ended: "failed" | "stuck" | undefined;
  stream.on("write", (written: number) => {
    waitingBytes -= written;
    lastWriteFailed = false;
  });
  stream.on("drop", (line: Buffer) => {
    waitingBytes -= line.length;
  });
  // The gateway does not end because nobody reads its log. After EPIPE pino writes nothing more; a disk that is full
  // may have room again, so other writes are tried again.
  stream.on("error", () => {
    lastWriteFailed = true;
  });
  return {
    write(line) {
      if (ended !== undefined) return;
      const bytes = Buffer.from(line);
      waitingBytes += bytes.length;
      lines.write(bytes);
    },
    // Not the library's `flushSync`: it writes beside a write that is under way, and for ever if nobody reads.
    async flush() {
      const until = performance.now() + flushWithinMs;
      while (waitingBytes > 0 && !lastWriteFailed && ended === undefined && performance.now() < until) {
        stream.flush();
        await new Promise((resolve) => setTimeout(resolve, flushLooksEveryMs));
      }
      if (waitingBytes > 0 && ended === undefined) {
        ended = lastWriteFailed ? "failed" : "stuck";
        // Or the library would try again when the process exits.
        stream.destroy();
      }
      return ended !== "stuck";
    },
  };
}
