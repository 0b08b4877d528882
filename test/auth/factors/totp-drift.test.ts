import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { codeAt, enrolledUser, Login, outcomeOf, passwordSession, shownIn } from "./factor-people.ts";

const period = 30_000;
/** Periods by which an authenticator's clock is off. */
const drifts = [-2, -1, 0, 1, 2] as const;
const many = { attempts: 1000, refillMs: 1 };

let node: TestAuthority;
let strictGroup: string;
beforeAll(async () => {
  node = await startAuthority({ loginBudgets: { pair: many, address: many, account: many } });
  await node.owner();
  strictGroup = (await node.authority.groups.create({ name: "Strict", policy: {} })).group.id;
  await node.authority.secondFactors.demand(strictGroup, true);
});
afterAll(() => node?.stop());

/** A form for a code of this secret, whose user has used none of the codes that are tried. */
interface Asked {
  readonly secret: string;
  send(code: string): Promise<string>;
}

const forms: Readonly<Record<string, (username: string) => Promise<Asked>>> = {
  async "a set-up"(username) {
    await node.user(username);
    const { principal } = await passwordSession(node, username);
    const { secondFactors } = node.authority;
    const form = await secondFactors.beginSetup("totp", principal);
    const send = async (code: string) => {
      const step = await secondFactors.advanceSetup(form.flow_id, { code }, principal);
      return step.type === "form" ? (step.errors.base ?? "") : step.type;
    };
    return { secret: shownIn(form).code ?? "", send };
  },
  async "a set-up within a login"(username) {
    const { user } = await node.user(username);
    await node.authority.groups.addMember({ groupId: strictGroup, userId: user.id });
    const login = await new Login(node).begin(username);
    return {
      secret: shownIn(login.step).code ?? "",
      send: async (code) => outcomeOf(await login.send({ code })),
    };
  },
  async "a login"(username) {
    const { secret } = await enrolledUser(node, username);
    // The code of the set-up is so old that no code which is tried here is of its period, or of one before.
    node.clock.advance(10 * period);
    const login = await new Login(node).begin(username);
    return { secret, send: async (code) => outcomeOf(await login.send({ code })) };
  },
};

/** Goes to this place in a period, in which no two of the codes are the same by chance. */
function goTo(place: number, secret: string): void {
  const codes = () => new Set(drifts.map((drift) => codeAt(secret, node.clock.now() + drift * period)));
  node.clock.advance(period - (node.clock.now() % period) + place);
  while (codes().size < drifts.length) node.clock.advance(period);
}

describe.each([
  ["begins", 0],
  ["ends", period - 1],
])("when a period %s", (when, place) => {
  it.each(Object.keys(forms))(
    "%s takes the code of the period before, of this one and of the next, once, and none further off",
    async (form) => {
      const outcomes: Record<string, string> = {};
      for (const drift of drifts) {
        const username = `${form} ${when} ${drift}`.replaceAll(" ", ".");
        const asked = await forms[form]?.(username);
        if (asked === undefined) throw new Error(form);
        goTo(place, asked.secret);
        const code = codeAt(asked.secret, node.clock.now() + drift * period);
        outcomes[drift] = await asked.send(code);
        if (outcomes[drift] === "invalid_code") continue;
        const again = await new Login(node).begin(username);
        expect(outcomeOf(await again.send({ code }))).toBe("invalid_code");
      }
      const taken = form === "a set-up within a login" ? "mfa_recovery" : "create_entry";
      expect(outcomes).toEqual({
        "-2": "invalid_code",
        "-1": taken,
        "0": taken,
        "1": taken,
        "2": "invalid_code",
      });
    },
  );

  it.each(Object.keys(forms))(
    "%s takes the code that was too far ahead one period later, so its drift alone was refused",
    async (form) => {
      const asked = await forms[form]?.(`later ${form} ${when}`.replaceAll(" ", "."));
      if (asked === undefined) throw new Error(form);
      goTo(place, asked.secret);
      const code = codeAt(asked.secret, node.clock.now() + 2 * period);
      expect(await asked.send(code)).toBe("invalid_code");
      node.clock.advance(period);
      expect(await asked.send(code)).not.toBe("invalid_code");
    },
  );
});
