import { Type } from "typebox";

import { createAttempts } from "../../throttling/attempts.ts";
import { factorMessageBudget } from "../../throttling/budget.ts";
import { type FactorType, factorEntrySchema } from "../factor-type.ts";
import { createNotify } from "./notify.ts";
import { boundedSender, commandSender, longestSendMs, webhookSender } from "./sender.ts";

const entry = factorEntrySchema("notify", {
  webhook: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      pattern: "^https?://[^/]",
      description:
        "Address that codes are posted to, as JSON with `user_id`, `user_name`, `target`, `code` and `message`. Any 2xx answer says that the message was taken. Either this or `command`.",
    }),
  ),
  token: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      pattern: "^[!-~]+$",
      writeOnly: true,
      description: "Sent to the webhook as a bearer token.",
    }),
  ),
  command: Type.Optional(
    Type.String({
      minLength: 2,
      maxLength: 4096,
      pattern: "^/[^\\0]*$",
      file: "run",
      description:
        "Absolute path of a program that sends codes. It gets the same texts as variables, and no others. Exit code 0 says that the message was taken.",
    }),
  ),
  args: Type.Optional(
    Type.Array(Type.String({ maxLength: 4096, pattern: "^[^\\0]*$" }), {
      default: [],
      maxItems: 64,
      description: "Arguments of the program.",
    }),
  ),
  asks_for_target: Type.Optional(
    Type.Boolean({
      default: true,
      description: "Whether people say at the set-up where they want their codes, as text in `target`.",
    }),
  ),
  message: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 512,
      default: "{} is your Gatehouse login code",
      description: "Text of the message; `{}` is the code.",
    }),
  ),
  timeout_ms: Type.Optional(
    Type.Integer({
      default: 5_000,
      minimum: 100,
      maximum: longestSendMs,
      description: "How long sending may take. A program is killed then, with everything that it started.",
    }),
  ),
  concurrent: Type.Optional(
    Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 64,
      description: "How many messages are sent at once. Others are refused with `overloaded`.",
    }),
  ),
});

export const notifyType: FactorType<typeof entry> = {
  entry,
  problem({ webhook, command, token }) {
    if ((webhook === undefined) === (command === undefined)) return "needs webhook or command, and not both";
    if (webhook !== undefined && !URL.canParse(webhook)) return "has a wrong webhook: must be a URL";
    if (webhook !== undefined && /^https?:\/\/[^/?#]*@/.test(webhook))
      return "has a webhook with a user name or a password, which would be shown: give a token";
    return token !== undefined && webhook === undefined ? "has a token, which is for a webhook" : undefined;
  },
  create(options, { store, clock, sealing }) {
    const { id = "notify", name = "Code by message", webhook, command = "", args = [], token } = options;
    const { timeout_ms: timeoutMs = 5_000, concurrent = 8, asks_for_target: asksForTarget = true } = options;
    const { message = "{} is your Gatehouse login code" } = options;
    const send =
      webhook === undefined
        ? commandSender({ command, args, timeoutMs })
        : webhookSender({ url: webhook, token, timeoutMs });
    return createNotify({
      id,
      name,
      asksForTarget,
      message,
      send: boundedSender(send, concurrent),
      charge: createAttempts({ store, clock, budget: factorMessageBudget }),
      clock,
      sealing,
    });
  },
};
