import { expect, it } from "vitest";

import { startSocketGateway } from "../support/socket-gateway.ts";
import { roomyTopics, testTopics } from "../support/topics.ts";

const subscribe = "gatehouse/topics/subscribe";

it("a user has so many subscriptions on a node and no more, and others have their own", async () => {
  const gateway = await startSocketGateway({
    transport: "ws",
    topics: (node) => testTopics(node, { limits: { ...roomyTopics, subscriptionsPerUser: 5 } }),
  });
  try {
    const owner = await gateway.owner();
    const { user } = await gateway.user("other");
    await gateway.authority.users.update(user.id, { groupIds: ["system-users"] });
    const enter = async (who: typeof owner) => (await gateway.enter(who)).client;
    const [one, two, other] = await Promise.all([enter(owner), enter(owner), enter(user)]);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).call(subscribe, { pattern: `a/${n}` })),
    );
    const made = answers.flatMap(({ success }, n) => (success === true ? [n] : []));
    expect(made).toHaveLength(5);
    const overloaded = { success: false, error: { code: "overloaded" } };
    for (const answer of answers.filter(({ success }) => success !== true))
      expect(answer).toMatchObject(overloaded);
    expect(await one.call("subscribe_events", { event_type: "x" })).toMatchObject(overloaded);
    expect(await other.call(subscribe, { pattern: "a/1" })).toMatchObject({ success: true });
    const [first = 0] = made;
    await (first % 2 ? one : two).call("unsubscribe_events", { subscription: answers[first]?.id });
    expect(await two.call(subscribe, { pattern: "b" })).toMatchObject({ success: true });
    expect(await one.call(subscribe, { pattern: "b" })).toMatchObject(overloaded);
  } finally {
    await gateway.stop();
  }
});

it("a socket has so many subscriptions of one pattern and no more", async () => {
  const gateway = await startSocketGateway({ transport: "ws", topics: (node) => testTopics(node) });
  try {
    const { client } = await gateway.enter(await gateway.owner());
    const asked = await Promise.all(
      Array.from({ length: 20 }, () => client.call(subscribe, { pattern: "#" })),
    );
    const [first, ...refused] = [asked[0], ...asked.filter(({ success }) => success !== true)];
    expect(refused).toHaveLength(4);
    for (const answer of refused) expect(answer).toMatchObject({ error: { code: "not_allowed" } });
    expect(await client.call(subscribe, { pattern: "a/#" })).toMatchObject({ success: true });
    await client.call("unsubscribe_events", { subscription: first?.id });
    expect(await client.call(subscribe, { pattern: "#" })).toMatchObject({ success: true });
  } finally {
    await gateway.stop();
  }
});
