import { describe, expect, it } from "vitest";

import {
  type Effect,
  type Input,
  type State,
  table,
  transition,
} from "../../src/connection/state-machine.ts";

type Row = readonly [State, Effect];

/** The whole machine, written a second time: what a client's next step does in each state. */
const expected: Record<State, Record<Input, Row>> = {
  open: {
    malformed: ["closing", "refuse_malformed"],
    foreign: ["closing", "refuse_foreign"],
    login: ["open", "answer"],
    auth: ["authenticating", "check"],
    granted: ["authenticating", "check"],
    admitted: ["open", "none"],
    end: ["closing", "close"],
    lost: ["closed", "release"],
  },
  authenticating: {
    malformed: ["authenticating", "buffer"],
    foreign: ["authenticating", "buffer"],
    login: ["authenticating", "buffer"],
    auth: ["closing", "refuse_foreign"],
    granted: ["authenticating", "none"],
    admitted: ["ready", "welcome"],
    end: ["closing", "close"],
    lost: ["closed", "release"],
  },
  ready: {
    malformed: ["ready", "dispatch"],
    foreign: ["ready", "dispatch"],
    login: ["ready", "dispatch"],
    auth: ["ready", "dispatch"],
    granted: ["ready", "none"],
    admitted: ["ready", "none"],
    end: ["closing", "close"],
    lost: ["closed", "release"],
  },
  closing: {
    malformed: ["closing", "none"],
    foreign: ["closing", "none"],
    login: ["closing", "none"],
    auth: ["closing", "none"],
    granted: ["closing", "none"],
    admitted: ["closing", "none"],
    end: ["closing", "none"],
    lost: ["closed", "none"],
  },
  closed: {
    malformed: ["closed", "none"],
    foreign: ["closed", "none"],
    login: ["closed", "none"],
    auth: ["closed", "none"],
    granted: ["closed", "none"],
    admitted: ["closed", "none"],
    end: ["closed", "none"],
    lost: ["closed", "none"],
  },
};

const states = Object.keys(table) as State[];
const inputs = Object.keys(table.open) as Input[];

describe("connection machine", () => {
  for (const state of states) {
    it(`answers every input in state ${state}`, () => {
      for (const input of inputs) {
        const { to, effect } = transition(state, input);
        expect([input, to, effect]).toEqual([input, ...expected[state][input]]);
      }
    });
  }

  it("is ready only through admission", () => {
    const ways = states.flatMap((state) =>
      inputs
        .filter((input) => state !== "ready" && transition(state, input).to === "ready")
        .map((input) => `${state} ${input}`),
    );
    expect(ways).toEqual(["authenticating admitted"]);
  });

  it("never leaves closing but for closed, and never leaves closed", () => {
    for (const input of inputs) {
      expect(["closing", "closed"]).toContain(transition("closing", input).to);
      expect(transition("closed", input).to).toBe("closed");
    }
  });

  it("releases exactly once on every way out", () => {
    const releases = (effect: Effect) =>
      ["close", "release", "refuse_malformed", "refuse_foreign"].includes(effect);
    for (const state of states) {
      for (const input of inputs) {
        const { to, effect } = transition(state, input);
        const leaves =
          ["open", "authenticating", "ready"].includes(state) && ["closing", "closed"].includes(to);
        expect([state, input, releases(effect)]).toEqual([state, input, leaves]);
      }
    }
  });
});
