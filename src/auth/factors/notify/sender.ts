import { createBoundedFetch } from "../../../net/bounded-fetch.ts";
import { AuthError } from "../../errors.ts";
import { runCommand } from "../../providers/command-line/run-command.ts";

/** A code on its way to a person. */
export interface CodeMessage {
  readonly userId: string;
  readonly userName: string;
  /** Where the person wants it, in their own words; empty if they are not asked. */
  readonly target: string;
  readonly code: string;
  readonly message: string;
}

/** Resolves once the message was taken. Rejects with `overloaded` or `unavailable`, which says nothing of the code. */
export type SendCode = (message: CodeMessage) => Promise<void>;

/** Shorter than the time for which a step of a flow belongs to one call, ms. */
export const longestSendMs = 8_000;
const maxAnswerBytes = 4_096;

/** Posts a message as JSON. The address is the operator's, and no redirect is followed. */
export function webhookSender(options: {
  readonly url: string;
  readonly token: string | undefined;
  readonly timeoutMs: number;
}): SendCode {
  const { url, token, timeoutMs } = options;
  const { origin, host } = new URL(url);
  const send = createBoundedFetch({
    trustedOrigin: origin,
    timeoutMs,
    maxBytes: maxAnswerBytes,
    longer: "cut",
  });
  return async ({ userId, userName, target, code, message }) => {
    const body = { user_id: userId, user_name: userName, target, code, message };
    const answer = await send(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    }).catch((cause: unknown) => {
      throw notSent(`the webhook ${host}: ${cause instanceof Error ? cause.message : "no answer"}`);
    });
    if (answer.status < 200 || answer.status > 299)
      throw notSent(`the webhook ${host} answered with ${answer.status}`);
  };
}

/** Runs a program, which gets the message in its environment alone: arguments can be read by others. */
export function commandSender(options: {
  readonly command: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}): SendCode {
  const { command, args, timeoutMs } = options;
  return async ({ userId, userName, target, code, message }) => {
    const texts = { user_id: userId, user_name: userName, target, code, message };
    // A variable ends at a NUL.
    const env = Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, text.replaceAll("\0", "")]),
    );
    const { outcome } = runCommand({ command, args, env, timeoutMs, readsOutput: false });
    const ended = await outcome;
    if (ended.kind === "failed") throw notSent(`the command ${command}: ${ended.reason}`);
    if (!ended.succeeded) throw notSent(`the command ${command} failed`);
  };
}

/** At most so many at once. Others are refused at once: a person who waits for a code tries again. */
export function boundedSender(send: SendCode, concurrent: number): SendCode {
  let sending = 0;
  return async (message) => {
    if (sending >= concurrent) throw new AuthError("overloaded", { retryAfterSeconds: 2 });
    sending += 1;
    try {
      await send(message);
    } finally {
      sending -= 1;
    }
  };
}

function notSent(detail: string): AuthError {
  return new AuthError("unavailable", { detail, retryAfterSeconds: 5 });
}
