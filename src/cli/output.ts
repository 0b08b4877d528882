import { AuthError } from "../auth/errors.ts";
import { GatewayError } from "../client/errors.ts";
import { isCertificateFault } from "../client/open-failure.ts";
import { OperatorError } from "../server/config/problems.ts";
import { columns, jsonLine, oneLine, shown } from "./terminal-text.ts";

/**
 * Exit codes: 0 done; 1 refused or failed; 2 usage, configuration or a file that was given; 3 the store or the gateway cannot be reached, try
 * again.
 */
export const exitCodes = { done: 0, failed: 1, usage: 2, unavailable: 3 } as const;

/** A mistake in the arguments. Those in the configuration are `OperatorError`s too. */
export class UsageError extends OperatorError {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

export interface Output {
  /** Prints `text`, or with `--json` the `value` as one line of JSON. */
  result(value: unknown, text: string): void;
  /** Prints to standard error what a person has to know while the command waits. */
  notice(text: string): void;
  /** Prints to standard error; returns the exit code. */
  error(error: unknown): number;
}

export function createOutput(
  json: boolean,
  streams: { readonly out: NodeJS.WritableStream; readonly err: NodeJS.WritableStream },
): Output {
  return {
    result(value, text) {
      streams.out.write(json ? `${jsonLine(value)}\n` : text === "" ? "" : `${shown(text)}\n`);
    },
    notice: (text) => void streams.err.write(`${shown(text)}\n`),
    error(error) {
      const { code, message, exit } = describe(error);
      streams.err.write(
        json ? `${jsonLine({ error: { code, message } })}\n` : `gatehouse: ${shown(message)} (${code})\n`,
      );
      return exit;
    },
  };
}

function describe(error: unknown): { code: string; message: string; exit: number } {
  if (error instanceof OperatorError) return { code: "usage", message: error.message, exit: exitCodes.usage };
  if (error instanceof AuthError) {
    const exit = error.code === "unavailable" ? exitCodes.unavailable : exitCodes.failed;
    return { code: error.code, message: error.detail ?? error.publicMessage, exit };
  }
  if (error instanceof GatewayError) {
    const isAway = ["cannot_connect", "connection_lost", "call_timeout", "unavailable"].includes(error.code);
    return {
      code: error.code,
      message: error.message,
      exit: isAway && !isCertificateFault(error) ? exitCodes.unavailable : exitCodes.failed,
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: systemCode(error) ?? "unknown_error", message, exit: exitCodes.failed };
}

/** The operating system's error code (`EADDRINUSE`), of the error or of its cause. */
export function systemCode(error: unknown): string | undefined {
  for (let fault = error; fault instanceof Error; fault = fault.cause) {
    if ("code" in fault && typeof fault.code === "string") return fault.code;
  }
  return undefined;
}

/** Each column is as wide as its longest cell; no trailing blanks. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map(oneLine));
  const widths = head.map((_, column) =>
    all.reduce((widest, row) => Math.max(widest, columns(row[column] ?? "")), 0),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - columns(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A time as ISO 8601 in UTC, or a dash. */
export function timeText(ms: number | null | undefined): string {
  return ms == null ? "-" : new Date(ms).toISOString();
}
