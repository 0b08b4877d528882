import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createLocalEventBus, type EventBus } from "../../../src/auth/event-bus.ts";
import { readFlowById, takeHoldStep } from "../../../src/auth/login/flow-record.ts";
import type { FlowAnswer } from "../../../src/auth/login/login-flows.ts";
import { outsideProvider } from "../../support/outside-provider.ts";
import { type OpenStore, openStore } from "../tokens/installation.ts";
import {
  ada,
  addPerson,
  claimOf,
  codeOf,
  forCode,
  grantOf,
  type LoginDomain,
  loginDomain,
  peer,
  startRequest,
} from "./login-domain.ts";

let opened: OpenStore;
let events: EventBus;
let domain: LoginDomain;
let provider: ReturnType<typeof outsideProvider>;
const nodes: LoginDomain[] = [];
const elsewhere = { address: "198.51.100.4" };

async function node(bus = events): Promise<LoginDomain> {
  const made = await loginDomain(opened, { events: bus, wrapProvider: () => provider });
  nodes.push(made);
  return made;
}

beforeEach(async () => {
  opened = await openStore();
  events = createLocalEventBus();
  provider = outsideProvider(ada.username);
  domain = await node();
});
afterEach(async () => {
  for (const each of nodes.splice(0)) {
    each.flows.close();
    await each.close();
  }
  await opened.dispose();
});

/** A holder that counts its calls. */
function ear() {
  let told = 0;
  let wake: () => void = () => undefined;
  return {
    flowContinued: () => {
      told += 1;
      wake();
    },
    until: async (times: number) => {
      while (told < times) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

/** Who waits for each flow. */
const holders = new Map<string, ReturnType<typeof ear>>();
const start = async (at = domain, more: Parameters<typeof startRequest>[0] = {}, holder = ear()) => {
  const shown = await at.flows.start(startRequest(more), peer, holder);
  holders.set(shown.step.flow_id, holder);
  return shown;
};
const complete = (at: LoginDomain, { step }: FlowAnswer, answer: string, stepId = "browser") =>
  at.flows.completeExternalStep({ flowId: step.flow_id, stepId, input: { answer } }, elsewhere);
const nextOf = (at: LoginDomain, shown: FlowAnswer, holder = holders.get(shown.step.flow_id) ?? ear()) =>
  at.flows.next({ ...claimOf(shown), stepNumber: shown.stepNumber }, peer, holder);

describe("a step that is completed from outside", () => {
  it("is sent in Home Assistant's format", async () => {
    const { step } = await start();
    const about = { flow_id: step.flow_id, handler: ["homeassistant", null] };
    expect(step).toEqual({
      type: "external",
      ...about,
      step_id: "browser",
      url: `https://elsewhere.test/authorize?state=${step.flow_id}`,
      description_placeholders: { name: "Elsewhere" },
    });
    const shown = await start();
    await complete(domain, shown, "progress");
    expect((await nextOf(domain, shown))?.step).toEqual({
      type: "progress",
      flow_id: shown.step.flow_id,
      handler: about.handler,
      step_id: "approval",
      progress_action: "wait_for_approval",
      description_placeholders: { code: "4711" },
    });
  });

  it("calls the socket that holds the flow on another node, which opens the session", async () => {
    const user = await addPerson(domain);
    const other = await node();
    const holder = ear();
    const shown = await start(domain, {}, holder);
    await holder.until(1);
    expect(await nextOf(domain, shown)).toBeUndefined();
    expect(await complete(other, shown, "yes")).toBe("done");
    await holder.until(2);
    const answer = await nextOf(domain, shown);
    const grant = grantOf(answer?.step ?? shown.step);
    const session = await domain.sessions.get(grant.session_id);
    expect(session).toMatchObject({ userId: user.id, amr: ["user"], lastUsedIp: peer.address });
    expect(answer?.userId).toBe("whom");
    expect(await codeOf(nextOf(domain, shown))).toBe("invalid_flow");
    expect(await codeOf(complete(other, shown, "yes"))).toBe("invalid_flow");
  });

  it("may lead to any other step, and back to a form", async () => {
    await addPerson(domain);
    let shown = await start(domain, forCode);
    const types: string[] = [];
    const expected = ["progress", "external", "form"];
    for (const [answer, stepId] of [
      ["progress", "browser"],
      ["external", "approval"],
      ["form", "browser"],
    ] as const) {
      await complete(domain, shown, answer, stepId);
      shown = (await nextOf(domain, shown)) ?? shown;
      types.push(shown.step.type);
    }
    expect(types).toEqual(expected);
    const done = await domain.flows.advance({ ...claimOf(shown), input: { name: "yes" } }, peer);
    expect(done.step).toMatchObject({ type: "create_entry", result: expect.any(String) });
  });

  it("is completed once by fifty calls on two nodes", async () => {
    await addPerson(domain);
    const other = await node();
    const shown = await start();
    const calls = Array.from({ length: 50 }, (_, n) =>
      codeOf(complete(n % 2 === 0 ? domain : other, shown, "yes")),
    );
    const codes = await Promise.all(calls);
    expect(codes.filter((code) => code === "no error")).toHaveLength(1);
    expect(codes.filter((code) => code === "conflict")).toHaveLength(49);
    expect(await codeOf(complete(other, shown, "no"))).toBe("conflict");
    expect(provider.asked).toBe(1);
    const looks = await Promise.all(Array.from({ length: 20 }, () => codeOf(nextOf(domain, shown))));
    expect(looks.filter((code) => code === "no error")).toHaveLength(1);
  });

  it("is for the socket that resumed the flow last: one that died without notice takes nothing", async () => {
    await addPerson(domain);
    const other = await node();
    const [dead, here, there] = [ear(), ear(), ear()];
    const shown = await start(domain, {}, dead);
    await domain.flows.resume(claimOf(shown), peer, here);
    await complete(domain, shown, "progress");
    expect(await nextOf(domain, shown, dead)).toBeUndefined();
    expect((await nextOf(domain, shown, here))?.step.type).toBe("progress");
    await other.flows.resume(claimOf(shown), peer, there);
    await complete(domain, shown, "yes", "approval");
    expect(await nextOf(domain, shown, dead)).toBeUndefined();
    expect(await nextOf(domain, shown, here)).toBeUndefined();
    expect((await nextOf(other, shown, there))?.step.type).toBe("create_entry");
    expect(await codeOf(nextOf(domain, shown, here))).toBe("invalid_flow");
  });

  it("is for the socket that resumes the flow at the moment at which another one would finish it", async () => {
    await addPerson(domain);
    const takeOver = { flow: undefined as FlowAnswer | undefined };
    const taken = await loginDomain(opened, {
      events,
      wrapProvider: () => provider,
      async beforeCommit() {
        const { flow } = takeOver;
        takeOver.flow = undefined;
        const found = flow && (await readFlowById(opened.store, flow.step.flow_id));
        // The first thing that a resume does, on whatever node.
        if (found !== undefined) await opened.store.commit(takeHoldStep(found.flow, "another"));
      },
    });
    nodes.push(taken);
    const dying = ear();
    const shown = await start(taken, {}, dying);
    await complete(taken, shown, "yes");
    takeOver.flow = shown;
    expect(await nextOf(taken, shown, dying)).toBeUndefined();
    expect((await domain.flows.resume(claimOf(shown), peer, ear())).step.type).toBe("create_entry");
  });

  it("ends the flow for whoever it does not find, and as the provider says", async () => {
    await addPerson(domain);
    const endings: unknown[] = [];
    for (const answer of ["stranger", "no"]) {
      const shown = await start();
      await complete(domain, shown, answer);
      endings.push((await nextOf(domain, shown))?.step);
    }
    expect(endings).toMatchObject([
      { type: "abort", reason: "not_allowed" },
      { type: "abort", reason: "refused" },
    ]);
  });

  it("costs an attempt if it leads to a form with errors, and none otherwise", async () => {
    await addPerson(domain);
    let shown = await start();
    for (let n = 0; n < 8; n += 1) {
      await complete(
        domain,
        shown,
        n % 2 === 0 ? "progress" : "external",
        n % 2 === 0 ? "browser" : "approval",
      );
      shown = (await nextOf(domain, shown)) ?? shown;
    }
    await complete(domain, shown, "wrong");
    shown = (await nextOf(domain, shown)) ?? shown;
    const types: string[] = [];
    for (let n = 0; n < 4; n += 1)
      types.push(
        (await domain.flows.advance({ ...claimOf(shown), input: { name: "wrong" } }, peer)).step.type,
      );
    expect(types).toEqual(["form", "form", "form", "abort"]);
  });

  it("stays as it was when the provider fails, and for another step's completion", async () => {
    const shown = await start();
    await expect(complete(domain, shown, "fault")).rejects.toThrow("the provider's own fault");
    expect(await codeOf(complete(domain, shown, "yes", "approval"))).toBe("invalid_flow");
    expect(await nextOf(domain, shown)).toBeUndefined();
    expect(await complete(domain, shown, "no")).toBe("abort");
  });

  it("is completed by nobody before it is asked, and after its deadline", async () => {
    const unknown = { flowId: "0".repeat(32), stepId: "browser", input: {} };
    expect(await codeOf(domain.flows.completeExternalStep(unknown, elsewhere))).toBe("invalid_flow");
    const broken = { ...unknown, flowId: "../user" };
    expect(await codeOf(domain.flows.completeExternalStep(broken, elsewhere))).toBe("invalid_flow");
    const shown = await start();
    opened.clock.pass(300_000);
    expect(await codeOf(complete(domain, shown, "yes"))).toBe("invalid_flow");
    expect((await nextOf(domain, shown))?.step).toMatchObject({ type: "abort", reason: "login_expired" });
  });
});

describe("a client that answers an external step", () => {
  it("gets an error that the step takes no input, whatever it sends, and is charged nothing", async () => {
    const shown = await start();
    for (const input of [{}, { answer: "yes" }])
      for (let n = 0; n < 6; n += 1)
        expect(await codeOf(domain.flows.advance({ ...claimOf(shown), input }, peer))).toBe("not_supported");
    expect(provider.asked).toBe(0);
    expect(await nextOf(domain, shown)).toBeUndefined();
  });

  it("gets the step that followed meanwhile", async () => {
    await addPerson(domain);
    const shown = await start();
    await complete(domain, shown, "yes");
    const { step } = await domain.flows.advance({ ...claimOf(shown), input: {} }, peer);
    expect(step.type).toBe("create_entry");
  });
});

describe("a lost event", () => {
  const deaf: EventBus = {
    publish: () => undefined,
    subscribe: () => () => undefined,
    close: async () => undefined,
  };

  it("loses no step: a resume on another node gives it, and a session once", async () => {
    await addPerson(domain);
    const lonely = await node(deaf);
    const shown = await start(lonely);
    await complete(lonely, shown, "progress");
    const resumed = await domain.flows.resume(claimOf(shown), peer, ear());
    expect(resumed.step.type).toBe("progress");
    await complete(lonely, resumed, "yes", "approval");
    const both = await Promise.allSettled([
      domain.flows.resume(claimOf(shown), peer, ear()),
      lonely.flows.resume(claimOf(shown), peer, ear()),
    ]);
    const given = both.flatMap((one) => (one.status === "fulfilled" ? [one.value.step.type] : []));
    expect(given).toEqual(["create_entry"]);
  });

  it("is made up for after a gap: every socket that waits looks at its record", async () => {
    let gap: () => void = () => undefined;
    const lossy: EventBus = {
      ...deaf,
      subscribe: (_topic, { onGap }) => {
        gap = onGap;
        return () => undefined;
      },
    };
    const lonely = await node(lossy);
    const [first, second] = [ear(), ear()];
    const shown = await start(lonely, {}, first);
    await start(lonely, {}, second);
    await complete(lonely, shown, "progress");
    gap();
    await Promise.all([first.until(1), second.until(1)]);
    expect((await nextOf(lonely, shown))?.step.type).toBe("progress");
  });

  it("that ends elsewhere is told of to the socket that holds it", async () => {
    const shown = await start();
    const other = await node();
    await other.flows.cancel(claimOf(shown));
    await holders.get(shown.step.flow_id)?.until(1);
    expect(await codeOf(nextOf(domain, shown))).toBe("invalid_flow");
  });
});
