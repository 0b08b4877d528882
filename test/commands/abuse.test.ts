import fc from "fast-check";
import type { TSchema } from "typebox";
import { Check } from "typebox/value";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { commands } from "../../protocol/commands/index.ts";
import { isErrorCode } from "../../protocol/frames.ts";
import type { User } from "../../src/auth/model.ts";
import type { Message } from "../support/socket-client.ts";
import { type Entered, type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";

/** What is put where a field belongs. Big ones fit a frame, before `auth_ok` as after it. */
const wrongValues: readonly [string, unknown][] = [
  ["null", null],
  ["true", true],
  ["a number", 7],
  ["a negative number", -1],
  ["a fraction", 0.5],
  ["a huge number", Number.MAX_SAFE_INTEGER],
  ["an empty string", ""],
  ["a number as string", "7"],
  ["a huge string", "canary ".repeat(400)],
  ["an array", []],
  ["an array in an array", [["canary"]]],
  ["an object", { canary: 1 }],
  ["a long array", Array.from({ length: 500 }, () => "c")],
  ["NUL and controls", "canary\u0000\u001b[2J\n"],
  ["a poisoned look", { hasOwnProperty: 1, toString: "canary" }],
];

const properties = (type: keyof typeof commands) =>
  Object.entries(commands[type].params.properties as Record<string, TSchema>).filter(
    ([field]) => field !== "id" && field !== "type",
  );

/** Fields that fit the schema, from the schema itself, and that name nothing that exists. */
function fitting(type: keyof typeof commands): Record<string, unknown> {
  const values: Record<string, unknown> = {
    handler: ["nothing", null],
    user_input: {},
    features: {},
    group_ids: ["nothing"],
    subscription: 4711,
    lifespan: 1,
    expires: 30,
    enable_expiry: true,
    delete_current_token: false,
    token_type: "normal",
    for: "session",
    is_active: true,
    local_only: false,
    flow_id: "0".repeat(32),
    code_challenge: "x".repeat(43),
    path: "/x",
    event_type: "state_changed",
    client_icon: "mdi:x",
  };
  return Object.fromEntries(properties(type).map(([field]) => [field, values[field] ?? "nothing-like-it"]));
}

const types = Object.keys(commands) as (keyof typeof commands)[];
const after = types.filter((type) => commands[type].guard !== "anyone");
const harmless = types.filter((type) => type !== "auth/delete_all_refresh_tokens");
const before = types.filter((type) => commands[type].guard === "anyone");

for (const [transport, codec] of [
  ["ws", "json"],
  ["uws", "msgpack"],
] as const) {
  describe(`abuse on ${transport} in ${codec}`, () => {
    let gateway: SocketGateway;
    let owner: User;
    let entered: Entered;
    beforeAll(async () => {
      gateway = await startSocketGateway({
        transport,
        limits: { messagesPerSecond: 1_000_000, messagesPerSecondPerUser: 1_000_000 },
      });
      owner = await gateway.owner();
      entered = await gateway.enter(owner, { codec });
    });
    afterAll(() => gateway?.stop());

    /** Asks whatever is asked, and checks what every answer must keep to. */
    async function ask(type: string, fields: object, client = entered.client): Promise<Message> {
      const answer = await client.call(type, fields);
      const { error } = answer as { error?: { code: string; message: string } };
      if (error !== undefined) {
        expect(isErrorCode(error.code), `${type} ${error.code}`).toBe(true);
        expect(error.code).not.toBe("unknown_error");
        expect(error.message).not.toMatch(/canary|nothing-like-it/);
        expect(error.message.length).toBeLessThan(300);
      }
      const endsItself = type === "auth/delete_all_refresh_tokens" && error === undefined;
      if (endsItself) entered = await gateway.enter(owner, { codec });
      return answer;
    }
    const codeOf = (answer: Message) => (answer.error as { code: string } | undefined)?.code;

    it.each(after)("%s: every field missing, wrong, huge; more fields than it has", async (type) => {
      const good = fitting(type);
      for (const [field, schema] of properties(type)) {
        const { [field]: _, ...missing } = good;
        await ask(type, missing);
        for (const [what, value] of wrongValues) {
          const answer = await ask(type, { ...good, [field]: value });
          if (Check(schema, value)) continue;
          expect([field, what, codeOf(answer)]).toEqual([field, what, "invalid_format"]);
        }
      }
      expect(codeOf(await ask(type, { ...good, is_owner: true }))).toBe("invalid_format");
      expect(codeOf(await ask(type, { ...good, system_generated: true, canary: 1 }))).toBe("invalid_format");
      expect(await entered.client.call("ping")).toMatchObject({ type: "pong" });
    });

    it("grants nothing that was slipped in", async () => {
      const { user } = await gateway.user("slip");
      for (const extra of [{ is_owner: true }, { system_generated: true }, { is_admin: true }])
        await entered.client.call("config/auth/update", {
          user_id: user.id,
          name: "x",
          ...extra,
          surplus: 1,
        });
      expect(await gateway.authority.users.current(user.id)).toEqual(user);
    });

    it("refuses every command before auth_ok, and the store never hears of it", async () => {
      const calls = (["get", "list", "commit"] as const).map((method) => vi.spyOn(gateway.store, method));
      for (const type of after) {
        const client = await gateway.connect({ codec });
        await client.next();
        client.send({ id: 1, type, ...fitting(type) });
        expect(await client.next()).toMatchObject({
          type: "auth_invalid",
          message: expect.stringMatching(/^Auth message incorrectly formatted: /),
        });
        expect((await client.closed).code).toBe(closeCodes.unexpected_message.number);
      }
      expect(calls.map((spy) => spy.mock.calls)).toEqual([[], [], []]);
    });

    it.each(before)("%s: every field missing, wrong, huge, before auth_ok", async (type) => {
      const good = fitting(type);
      const probes: object[] = properties(type).flatMap(([field]) => {
        const { [field]: _, ...missing } = good;
        return [missing, ...wrongValues.map(([, value]) => ({ ...good, [field]: value }))];
      });
      let client = await gateway.connect({ codec });
      await client.next();
      for (const [at, probe] of [...probes, { ...good, canary: 1 }].entries()) {
        if (at % 50 === 49) {
          client.terminate();
          client = await gateway.connect({ codec });
          await client.next();
        }
        const answer = await ask(type, probe, client);
        if (probe === probes.at(-1)) expect(answer.type).toBe("result");
      }
      client.terminate();
    });

    it("has an answer or a close for any message at all", async () => {
      const plain = fc.jsonValue({ maxDepth: 4 });
      const message = fc.oneof(
        plain,
        fc.record({ id: fc.oneof(plain, fc.nat()), type: fc.oneof(plain, fc.constantFrom(...harmless)) }),
        fc.array(plain, { maxLength: 5 }),
      );
      await fc.assert(
        fc.asyncProperty(message, async (sent) => {
          const { client } = await gateway.enter(owner, { codec });
          client.send(sent);
          const pong = client.call("ping").catch(() => undefined);
          const end = await Promise.race([pong, client.closed]);
          expect(end).toBeDefined();
          client.terminate();
        }),
        { numRuns: 60 },
      );
    });

    it("is still whole: prototypes untouched, no fault in the log", async () => {
      expect(Object.keys(Object.prototype)).toEqual([]);
      expect(({} as Record<string, unknown>).is_owner).toBeUndefined();
      const faults = gateway.logged.filter(({ message }) => message !== "message refused");
      expect(faults).toEqual([]);
    });
  });
}
