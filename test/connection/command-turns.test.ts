import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import type { Command } from "../../src/connection/command.ts";
import { admitted, type Client, command, connectionRig } from "../support/connection-rig.ts";
import { eventually } from "../support/eventually.ts";
import { principalOf } from "../support/people.ts";

const begun = { now: 0, most: 0 };
const commands: readonly Command[] = [
  command("echo", (message) => (message as { value?: unknown }).value),
  command("many_promises", async () => {
    begun.now += 1;
    begun.most = Math.max(begun.most, begun.now);
    for (let count = 0; count < 20; count += 1) await undefined;
    begun.now -= 1;
  }),
];

/** Every turn is over as soon as it has begun, so each socket runs one message in a turn. */
function setUp(limits: { readonly messagesPerSecond: number } = { messagesPerSecond: 10_000 }, turnMs = 0) {
  const authentication = { authenticate: () => admitted(principalOf()), recheck: () => undefined };
  const rig = connectionRig({ authentication }, { commands, limits, turnMs });
  const enter = () => {
    const client = rig.connect();
    client.say({ type: "auth", access_token: "t" });
    client.heard();
    return client;
  };
  return { rig, enter };
}

const echo = (id: number) => ({ id, type: "echo", value: id });
const batchOf = (first: number, count: number) => Array.from({ length: count }, (_, at) => echo(first + at));
const idsOf = (answers: readonly unknown[]) => answers.map((answer) => (answer as { id: number }).id);

async function heardFrom(client: Client, count: number): Promise<readonly unknown[]> {
  const answers = [...client.heard()];
  await eventually(`${count} answers`, () => {
    answers.push(...client.heard());
    return answers.length >= count;
  });
  return answers;
}

describe("sockets that send much at once", () => {
  it("wait for those who send little: the first message of a socket in a turn runs at once", async () => {
    const { enter } = setUp();
    const [busy, other] = [enter(), enter()];
    busy.say(batchOf(1, 200));
    expect(idsOf(busy.heard()).length).toBeLessThanOrEqual(1);
    other.say(echo(1));
    expect(idsOf(other.heard())).toEqual([1]);
    expect((await heardFrom(busy, 199)).length).toBeGreaterThanOrEqual(199);
  });

  it("get one turn after another", async () => {
    const { enter } = setUp();
    const [one, two] = [enter(), enter()];
    one.say(batchOf(1, 50));
    two.say(batchOf(1, 50));
    const behind: number[] = [];
    const [ofOne, ofTwo] = [[...one.heard()], [...two.heard()]];
    await eventually("all answers", () => {
      ofOne.push(...one.heard());
      ofTwo.push(...two.heard());
      behind.push(Math.abs(ofOne.length - ofTwo.length));
      return ofOne.length === 50 && ofTwo.length === 50;
    });
    expect(Math.max(...behind)).toBeLessThanOrEqual(1);
  });

  it("are answered in order, across batches, single messages and large frames", async () => {
    const { enter } = setUp();
    const client = enter();
    client.say(batchOf(1, 20));
    client.say(echo(21));
    client.say({ ...echo(22), value: "x".repeat(20_000) });
    client.say(batchOf(23, 20));
    client.say([]);
    client.say(echo(43));
    expect(idsOf(await heardFrom(client, 43))).toEqual(Array.from({ length: 43 }, (_, at) => at + 1));
  });

  it("are refused and closed by the message rate, whether or not they wait", async () => {
    const { enter } = setUp({ messagesPerSecond: 10 });
    const client = enter();
    for (let id = 1; id <= 60; id += 1) client.say(echo(id));
    const answers = await heardFrom(client, 60);
    expect(answers.slice(0, 50)).toEqual(
      Array.from({ length: 50 }, (_, at) => expect.objectContaining({ success: true, id: at + 1 })),
    );
    expect(answers.slice(50)).toEqual(
      Array.from({ length: 10 }, (_, at) =>
        expect.objectContaining({ id: 51 + at, error: expect.objectContaining({ code: "rate_limited" }) }),
      ),
    );
    for (let id = 61; id <= 120; id += 1) client.say(echo(id));
    expect(client.socket.closedWith?.code).toBe(closeCodes.rate_limited.number);
  });

  it.each([0, 10_000])(
    "begin a command once the last one did what it can at once: turns of %d ms",
    async (turnMs) => {
      const { enter } = setUp({ messagesPerSecond: 10_000 }, turnMs);
      const sockets = Array.from({ length: 10 }, enter);
      begun.most = 0;
      const message = (id: number) => ({ id, type: "many_promises" });
      for (const client of sockets) {
        client.say(message(1));
        client.say(Array.from({ length: 20 }, (_, at) => message(2 + at)));
        client.say(message(22));
      }
      for (const client of sockets)
        expect(idsOf(await heardFrom(client, 22))).toEqual(Array.from({ length: 22 }, (_, at) => at + 1));
      // A socket that has had no turn yet begins at once, whatever the others do.
      expect(begun.most).toBeLessThanOrEqual(sockets.length + 1);
      begun.most = 0;
      for (const client of sockets) client.say(Array.from({ length: 20 }, (_, at) => message(23 + at)));
      for (const client of sockets) await heardFrom(client, 20);
      expect(begun.most).toBeLessThanOrEqual(sockets.length + 1);
    },
  );

  it("run nothing more once they are closed", async () => {
    const { enter } = setUp();
    const [client, other] = [enter(), enter()];
    client.say(batchOf(1, 50));
    const before = client.heard().length;
    client.handler.closed(1006, "");
    other.say(batchOf(1, 10));
    await heardFrom(other, 10);
    expect(before + client.heard().length).toBeLessThanOrEqual(1);
  });
});
