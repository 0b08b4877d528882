import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import type { FlowAnswer } from "../../../src/auth/login/login-flows.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import type { LoginProvider, ProviderStep } from "../../../src/auth/providers/provider.ts";
import { home, startAuthority, type TestAuthority } from "../../support/authority.ts";

/** name -> (browser) -> pin -> done. What was proved is in the provider's state, so that a skipped step would show. */
function threeSteps(): LoginProvider {
  const form = (stepId: string, state: Record<string, string>): ProviderStep => ({
    kind: "form",
    stepId,
    fields: [{ name: "value", type: "string", required: true }],
    state,
  });
  const again = (step: ProviderStep): ProviderStep =>
    step.kind === "form" ? { ...step, errors: { base: "invalid_auth" } } : step;
  return {
    type: "steps",
    id: null,
    name: "Three steps",
    supportsMfa: false,
    newUsers: { activate: true, groups: [] },
    begin: async () => form("name", {}),
    async advance(stepId, { value }, state) {
      const name = String(state.name ?? value);
      if (stepId === "name") {
        if (value === "wrong") return again(form("name", {}));
        return { kind: "external", stepId: "browser", url: "https://elsewhere.test/", state: { name } };
      }
      if (stepId === "browser") return form("pin", { name, browser: "seen" });
      if (state.browser !== "seen") throw new Error("the browser was skipped");
      if (value === "wrong") return again(form("pin", { name, browser: "seen" }));
      return { kind: "done", subject: name, amr: ["pin"], evidence: [] };
    },
  };
}

type Action =
  | { readonly do: "submit"; readonly right: boolean }
  | { readonly do: "complete"; readonly step: "browser" | "pin" }
  | { readonly do: "resume" | "cancel" | "cross" | "next" };
type Move = Action & { readonly flow: 0 | 1; readonly node: 0 | 1 };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: "submit", right: true } as const) },
  { weight: 3, arbitrary: fc.constant({ do: "complete", step: "browser" } as const) },
  fc.constant({ do: "submit", right: false } as const),
  fc.constant({ do: "complete", step: "pin" } as const),
  fc.constantFrom(...(["resume", "cancel", "cross", "next"] as const).map((name) => ({ do: name }))),
);
const side = fc.constantFrom(0 as const, 1 as const);
const move: fc.Arbitrary<Move> = fc
  .tuple(action, side, side)
  .map(([what, flow, node]) => ({ ...what, flow, node }));

/** What the flow must be, from the moves that were made. */
interface Model {
  at: "name" | "browser" | "pin" | "over";
  wrong: number;
  sessions: number;
}

let nodes: readonly [TestAuthority, TestAuthority];
beforeEach(async () => {
  const first = await startAuthority({
    providers: (tools) => [createHomeAssistantProvider(tools), threeSteps()],
    loginLimits: { detachedPerAddress: 1_000 },
  });
  await first.owner();
  nodes = [first, await first.another()];
});
afterEach(async () => {
  await nodes[0].stop();
});

let people = 0;

describe("two flows, on two sockets and two nodes, in any order of steps", () => {
  it("skip no step, do not cross, and end once", async () => {
    await fc.assert(fc.asyncProperty(fc.array(move, { maxLength: 16 }), play), { numRuns: 120 });
  });

  it("have one outcome if every step is sent twice at once", async () => {
    for (let round = 0; round < 20; round += 1) {
      const { flow, name } = await begin();
      const send = (value: string) =>
        Promise.allSettled(
          nodes.map(({ authority }) => authority.logins.advance({ ...flow, input: { value } }, home)),
        );
      await send(name);
      await Promise.allSettled(nodes.map((node) => completed(node, flow.flowId, "browser")));
      const steps = (await send("right")).flatMap((one) =>
        one.status === "fulfilled" ? [one.value.step] : [],
      );
      expect(steps.filter(({ type }) => type === "create_entry")).toHaveLength(1);
    }
  });
});

async function begin() {
  people += 1;
  const name = `person ${people}`;
  const { step, flowSecret } = await nodes[0].authority.logins.start(
    {
      handler: ["steps", null],
      purpose: "session",
      clientId: null,
      clientName: null,
      redirectUri: null,
      codeChallenge: null,
    },
    home,
  );
  return { name, flow: { flowId: step.flow_id, flowSecret } };
}

const completed = (node: TestAuthority, flowId: string, stepId: string) =>
  node.authority.logins.completeExternalStep({ flowId, stepId, input: {} }, home);

async function play(moves: readonly Move[]): Promise<void> {
  const flows = [await begin(), await begin()] as const;
  const models: readonly [Model, Model] = [newModel(), newModel()];
  for (const one of moves) {
    const { flow, name } = flows[one.flow];
    const model = models[one.flow];
    const before = model.at;
    const seen = await outcomeOf(one, flow, name, flows[one.flow === 0 ? 1 : 0].flow.flowSecret);
    expect(seen, JSON.stringify({ one, before })).toEqual(expected(one, model));
  }
  for (const [place, { sessions }] of models.entries())
    expect(await sessionsOf(flows[place]?.name)).toBe(sessions);
}

const newModel = (): Model => ({ at: "name", wrong: 0, sessions: 0 });

/** What the client is told: a step's name, `done`, `abort`, or an error's code. */
async function outcomeOf(
  one: Move,
  flow: { readonly flowId: string; readonly flowSecret: string },
  name: string,
  otherSecret: string,
): Promise<string> {
  const { logins } = nodes[one.node].authority;
  const said = (answer: Pick<FlowAnswer, "step"> | undefined) => {
    if (answer === undefined) return "nothing";
    const { step } = answer;
    if (step.type === "create_entry") return "done";
    return step.type === "abort" ? `abort ${step.reason}` : step.step_id;
  };
  try {
    switch (one.do) {
      case "submit":
        return said(await logins.advance({ ...flow, input: { value: one.right ? name : "wrong" } }, home));
      case "complete":
        return await completed(nodes[one.node], flow.flowId, one.step);
      case "resume":
        return said(await logins.resume(flow, home));
      case "cancel":
        return `abort ${(await logins.cancel(flow)).reason}`;
      case "cross":
        return said(await logins.advance({ ...flow, flowSecret: otherSecret, input: { value: "x" } }, home));
      case "next":
        return said(
          await logins.next({ ...flow, stepNumber: 1_000 }, home, { flowContinued: () => undefined }),
        );
    }
  } catch (error) {
    if (error instanceof AuthError) return error.code;
    throw error;
  }
}

/** Moves the model, and says what the client must be told. */
function expected(one: Move, model: Model): string {
  if (one.do === "cross" || model.at === "over") return "invalid_flow";
  switch (one.do) {
    case "submit":
      return submitted(one.right, model);
    case "complete":
      if (one.step !== model.at || model.at !== "browser") return "invalid_flow";
      model.at = "pin";
      return "form";
    case "resume":
      return model.at;
    case "cancel":
      model.at = "over";
      return "abort cancelled";
    case "next":
      // This holder does not hold the flow.
      return "nothing";
  }
}

function submitted(right: boolean, model: Model): string {
  if (model.at === "browser") return "not_supported";
  if (!right) {
    model.wrong += 1;
    if (model.wrong < 5) return model.at;
    model.at = "over";
    return "abort too_many_retry";
  }
  if (model.at === "name") {
    model.at = "browser";
    return "browser";
  }
  model.at = "over";
  model.sessions += 1;
  return "done";
}

async function sessionsOf(name: string | undefined): Promise<number> {
  const { users, sessions } = nodes[0].authority;
  const user = (await users.list()).find((each) => each.name === name);
  return user === undefined ? 0 : (await sessions.list(user.id)).length;
}
