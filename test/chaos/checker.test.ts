import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { check, endStateActor, type Property, textOf } from "./checker.ts";
import { type Entry, History, historyOf, type Right, type Target } from "./history.ts";

/** Writes a history by hand: times in ms, one session `s` of user `u` unless stated otherwise. */
class Tale {
  #now = 0;
  readonly history = new History(() => this.#now);

  at(ms: number): this {
    this.#now = ms;
    return this;
  }
  login(session = "s", user = "u", took = 0): this {
    const done = this.history.begin("logins", { op: "login", user, node: "a" });
    this.#now += took;
    done("ok", { session });
    return this;
  }
  use(more: Partial<Subject> = {}, { took = 1, phase = "ok" as "ok" | "info" } = {}): this {
    const done = this.history.begin("sockets", { op: "use", what: "auth/current_user", ...who(more) });
    this.#now += took;
    done(phase);
    return this;
  }
  event(more: Partial<Subject> = {}): this {
    this.history.tell("sockets", { op: "use", what: "event", ...who(more) });
    return this;
  }
  authenticate(outcome: "ok" | "dead" | "away", more: Partial<Subject> = {}, actor = "sockets"): this {
    const done = this.history.begin(actor, { op: "authenticate", ...who(more) });
    this.#now += 1;
    if (outcome === "ok") done("ok");
    else if (outcome === "dead") done("fail", { dead: true });
    else done("info");
    return this;
  }
  close(code: number, more: Partial<Subject> = {}): this {
    this.history.tell("sockets", { op: "close", code, dead: code >= 4300 && code < 4400, ...who(more) });
    return this;
  }
  refresh(
    presented: number,
    given: number | "dead" | "away",
    token = `t${given}`,
    more: Partial<Subject> = {},
  ): this {
    const done = this.history.begin("refreshers", { op: "refresh", presented, ...who(more) });
    this.#now += 1;
    if (given === "dead") done("fail", { dead: true });
    else if (given === "away") done("info");
    else done("ok", { given, token });
    return this;
  }
  revoke(
    phase: "ok" | "info" | "fail" = "ok",
    target: Target = { user: "u", session: "s" },
    effective = "node",
  ) {
    const done = this.history.begin("revoker", { op: "revoke", node: "a", target });
    this.#now += 10;
    done(phase, phase === "ok" ? { receipt: { effective } } : {});
    return this;
  }
  narrow(takes: Right, phase: "ok" | "info" = "ok", effective = "node"): this {
    const done = this.history.begin("narrower", { op: "narrow", user: "u", node: "a", takes });
    this.#now += 10;
    done(phase, phase === "ok" ? { receipt: { effective } } : {});
    return this;
  }
  redeem(secret: string, phase: "ok" | "fail" | "info" = "ok"): this {
    const done = this.history.begin("logins", { op: "redeem", secret, user: "u", node: "a" });
    this.#now += 1;
    done(phase);
    return this;
  }
  loss(since: number): this {
    this.history.tell("faults", { op: "loss", since });
    return this;
  }
  quiet(): this {
    this.history.tell("faults", { op: "mark", name: "quiet" });
    return this;
  }
}

type Subject = {
  user: string;
  session: string;
  node: string;
  socket: string;
  needs: readonly Right[];
};
const who = (more: Partial<Subject>) => ({ user: "u", session: "s", node: "a", socket: "1", ...more });
const broken = (tale: Tale): readonly Property[] =>
  check(tale.history.entries).map(({ property }) => property);
const b = { node: "b", socket: "2" };

describe("no use of a lost right", () => {
  const found = ["no use of a lost right"];
  const remote = { ...b, needs: ["remote"] as const };
  const narrowed = (takes: Right) => new Tale().login().at(1_000).narrow(takes);
  it("gives the node the bound's time, and no more", () => {
    expect(broken(narrowed("remote").at(6_005).use(remote))).toEqual([]);
    expect(broken(narrowed("remote").at(6_011).use(remote))).toEqual(found);
    expect(broken(narrowed("remote").at(6_300).authenticate("ok", remote))).toEqual(found);
  });
  it("counts what needs the right, of this user, and only if the change happened", () => {
    expect(broken(narrowed("remote").at(9_000).use(b))).toEqual([]);
    expect(broken(narrowed("admin").at(9_000).use(remote))).toEqual([]);
    expect(
      broken(
        narrowed("admin")
          .at(9_000)
          .event({ ...b, needs: ["admin"] }),
      ),
    ).toEqual(found);
    expect(
      broken(
        narrowed("remote")
          .at(9_000)
          .use({ ...remote, user: "v", session: "s2" }),
      ),
    ).toEqual([]);
    const unknown = new Tale().login().at(1_000).narrow("remote", "info");
    expect(broken(unknown.at(9_000).use(remote))).toEqual([]);
  });
  it("holds for messages of topics at once on the node that answered, and everywhere once it says so", () => {
    const reads = { needs: ["topic"] } as const;
    const narrowed = (effective?: string) => new Tale().login().at(1_000).narrow("topic", "ok", effective);
    const found: readonly Property[] = ["no use of a lost right"];
    // The answer is at 1010. What arrives is read up to 250 ms late.
    expect(broken(narrowed().at(1_250).event(reads))).toEqual([]);
    expect(broken(narrowed().at(1_270).event(reads))).toEqual(found);
    expect(
      broken(
        narrowed()
          .at(6_005)
          .event({ ...b, ...reads }),
      ),
    ).toEqual([]);
    expect(
      broken(
        narrowed()
          .at(6_300)
          .event({ ...b, ...reads }),
      ),
    ).toEqual(found);
    expect(
      broken(
        narrowed("all")
          .at(1_270)
          .event({ ...b, ...reads }),
      ),
    ).toEqual(found);
    expect(broken(narrowed("all").at(1_270).event(b))).toEqual([]);
  });
});

describe("no use after revoke", () => {
  it("gives the other node the bound's time, and no more", () => {
    // The answer is at 1010, so the bound ends at 6010.
    expect(broken(new Tale().login().at(1_000).revoke().at(6_005).use(b))).toEqual([]);
    expect(broken(new Tale().login().at(1_000).revoke().at(6_011).use(b))).toEqual(["no use after revoke"]);
  });
  it("counts requests from before the revoke that are served after it, as by a node that resumes", () => {
    const asked = new Tale().login().at(1_000).revoke().at(1_500);
    expect(broken(asked.use(b, { took: 4_750 }))).toEqual([]);
    const woken = new Tale().login().at(1_000).revoke().at(1_500);
    expect(broken(woken.use(b, { took: 4_770 }))).toEqual(["no use after revoke"]);
  });
  it("counts unsolicited frames, logins with a token and refreshes", () => {
    const revoked = () => new Tale().login().at(1_000).revoke().at(6_300);
    expect(broken(revoked().event(b))).toEqual(["no use after revoke"]);
    expect(broken(revoked().authenticate("ok", b))).toEqual(["no use after revoke"]);
    expect(broken(revoked().refresh(1, 2))).toEqual(["no use after revoke"]);
    expect(broken(revoked().authenticate("dead", b).authenticate("away", b))).toEqual([]);
    expect(broken(new Tale().login().at(1_000).revoke().at(6_200).event(b))).toEqual([]);
  });
  it("leaves other sessions of the user alone when one was revoked", () => {
    const two = () => new Tale().login().login("s2").at(1_000);
    expect(broken(two().revoke().at(9_000).use({ session: "s2" }))).toEqual([]);
    const all = { user: "u" };
    expect(broken(two().revoke("ok", all).at(9_000).use({ session: "s2" }))).toEqual(["no use after revoke"]);
  });
  it("of a user covers sessions opened before it, not those opened during or after it", () => {
    const after = new Tale().at(1_000).revoke("ok", { user: "u" }).at(2_000).login();
    expect(broken(after.at(9_000).use())).toEqual([]);
    const during = new Tale().at(995).login("s", "u", 10).at(1_000).revoke("ok", { user: "u" });
    expect(broken(during.at(9_000).use())).toEqual([]);
  });
  it("counts with an unknown outcome only once it is proved", () => {
    const unknown = () => new Tale().login().at(1_000).revoke("info");
    expect(broken(unknown().at(9_000).use(b))).toEqual([]);
    // Ended at 3000 on a: from then on the revoke has happened.
    expect(broken(unknown().at(3_000).close(4301).at(7_990).use(b))).toEqual([]);
    expect(broken(unknown().at(3_000).close(4301).at(8_001).use(b))).toContain("no use after revoke");
  });
  it("of an unknown outcome is not proved by an end that another revoke explains", () => {
    const tale = new Tale().login().login("s2").at(1_000).revoke("info", { user: "u" });
    expect(
      broken(
        tale
          .revoke()
          .at(3_000)
          .close(4301)
          .at(8_500)
          .use({ ...b, session: "s2" }),
      ),
    ).toEqual([]);
  });
  it("is not counted if it was refused", () => {
    expect(broken(new Tale().login().at(1_000).revoke("fail").at(9_000).use())).toEqual([]);
  });
  it("is proved with the operations, in words", () => {
    const [found] = check(new Tale().login().at(1_000).revoke().at(7_000).use(b).use(b).history.entries);
    expect(found?.proof.map(({ op }) => op)).toEqual(["revoke", "use"]);
    expect(found?.times).toBe(2);
    expect(textOf(found === undefined ? [] : [found])).toMatch(
      /^no use after revoke: s: use on b 5991 ms after it was revoked \(2 times\)\n {4}#2 1000.0\.\.1010.0 revoker revoke ok/,
    );
  });
});

describe("no use after effective all", () => {
  const revoked = (effective: string) => new Tale().login().at(1_000).revoke("ok", { user: "u" }, effective);
  it("holds from the answer on", () => {
    expect(broken(revoked("all").at(1_011).use(b))).toEqual(["no use after effective all"]);
    expect(broken(revoked("pending").at(1_011).use(b))).toEqual([]);
    expect(broken(revoked("node").at(1_011).use(b))).toEqual([]);
  });
  it("allows that this process reads late what was sent in time", () => {
    const asked = (took: number) => {
      const tale = new Tale().login().at(1_000);
      const served = tale.history.begin("sockets", { op: "use", what: "x", ...who(b) });
      tale.revoke("ok", { user: "u" }, "all").at(1_010 + took);
      served("ok");
      return tale;
    };
    expect(broken(asked(200))).toEqual([]);
    expect(broken(asked(251))).toEqual(["no use after effective all"]);
  });
});

describe("an ended session stays ended", () => {
  it("holds at once on the node that reported it", () => {
    const said = () => new Tale().login().at(1_000).revoke("info").at(2_000).close(4301);
    expect(broken(said().at(2_001).use())).toEqual(["an ended session stays ended"]);
    expect(broken(said().at(2_001).authenticate("ok"))).toEqual(["an ended session stays ended"]);
    expect(broken(said().at(2_001).authenticate("dead"))).toEqual([]);
  });
  it("after a refused refresh, the store's answer, holds for refreshes at once and for the rest after the bound", () => {
    const said = () => new Tale().login().at(1_000).revoke("info").at(2_000).refresh(1, "dead");
    expect(broken(said().at(2_100).use())).toEqual([]);
    expect(broken(said().at(2_100).refresh(1, 2))).toEqual(["an ended session stays ended"]);
    expect(broken(said().at(7_100).use())).toContain("an ended session stays ended");
    // What the node itself reports holds at once, also if the store reported it before.
    expect(broken(said().at(2_100).close(4301).at(2_200).use())).toEqual(["an ended session stays ended"]);
  });
  it("holds on the other nodes after the bound, and for new tokens at once everywhere", () => {
    const said = () => new Tale().login().at(1_000).revoke().at(1_000).close(4301);
    expect(broken(said().at(5_900).use(b))).toEqual([]);
    expect(broken(said().at(6_001).use(b))).toEqual(["an ended session stays ended"]);
    expect(broken(said().at(1_100).refresh(1, 2, "t", b))).toEqual(["an ended session stays ended"]);
  });
  it("allows a store that lost the end to give tokens elsewhere until it is repaired", () => {
    const lost = () => new Tale().login().at(1_000).revoke().at(1_000).close(4301).at(1_050).loss(900);
    expect(broken(lost().at(1_100).refresh(1, 2, "t", b))).toEqual([]);
    expect(broken(lost().at(1_100).refresh(1, 2, "t"))).toEqual(["an ended session stays ended"]);
  });
  it("does not follow from a close that invites a reconnect", () => {
    const tale = new Tale().login().at(1_000).close(4100).at(1_001).authenticate("ok");
    expect(broken(tale)).toEqual([]);
  });
});

describe("no lost acknowledgement", () => {
  const healed = () => new Tale().login().at(1_000).revoke().at(3_000).quiet().at(3_100);
  const then = (tale: Tale) => broken(tale.authenticate("dead", { node: "c" }, endStateActor));
  it("is checked once all faults are healed, however little time has passed", () => {
    expect(then(healed().refresh(1, "dead"))).toEqual([]);
    expect(then(healed().refresh(1, 2))).toEqual(["no lost acknowledgement"]);
    expect(then(healed().authenticate("ok", b))).toEqual(["no lost acknowledgement"]);
  });
  it("needs an acknowledgement", () => {
    const tale = new Tale().login().at(1_000).revoke("info").at(3_000).quiet().at(3_100).refresh(1, 2);
    expect(broken(tale)).toEqual([]);
  });
});

describe("no false logout", () => {
  it("finds an end reported for a session that nobody touched", () => {
    expect(broken(new Tale().login().at(1_000).close(4301))).toEqual(["no false logout"]);
    expect(broken(new Tale().login().at(1_000).authenticate("dead"))).toEqual(["no false logout"]);
    expect(broken(new Tale().login().at(1_000).refresh(1, "dead"))).toEqual(["no false logout"]);
    expect(broken(new Tale().login().at(1_000).close(4100).close(1006).refresh(1, "away"))).toEqual([]);
  });
  it("finds that the wrong session of a user was ended", () => {
    const tale = () => new Tale().login().login("s2").at(1_000).revoke();
    expect(broken(tale().at(2_000).close(4301))).toEqual([]);
    expect(broken(tale().at(2_000).close(4301, { session: "s2" }))).toEqual(["no false logout"]);
  });
  it("finds that a session opened after the revoke was ended by it", () => {
    const tale = (phase: "ok" | "info") =>
      new Tale().at(1_000).revoke(phase, { user: "u" }).at(2_000).login();
    expect(broken(tale("ok").at(3_000).close(4301))).toEqual(["no false logout"]);
    expect(broken(tale("info").at(3_000).close(4301))).toEqual([]);
  });
  it("finds an end before the revoke, too", () => {
    expect(broken(new Tale().login().at(900).close(4301).at(1_000).revoke())).toEqual(["no false logout"]);
  });
  it("accepts the end of a refused revoke's target", () => {
    expect(broken(new Tale().login().at(1_000).revoke("fail").close(4301))).toEqual(["no false logout"]);
  });
  it("accepts the end of a session that the store lost, and of no older one", () => {
    const tale = () => new Tale().at(100).login("old").at(600).login("new").at(1_000).loss(500).at(1_100);
    expect(broken(tale().close(4301, { session: "new" }))).toEqual([]);
    expect(broken(tale().close(4301, { session: "old" }))).toEqual(["no false logout"]);
  });
  it("accepts the end of a session whose login was under way when the loss began or ended", () => {
    const tale = (since: number) => {
      const slow = new Tale().at(100);
      const answered = slow.history.begin("logins", { op: "login", user: "u", node: "a" });
      slow.at(400).loss(since).at(600);
      answered("ok", { session: "s" });
      return slow.at(1_000).close(4301);
    };
    expect(broken(tale(300))).toEqual([]);
    expect(broken(tale(50))).toEqual([]);
  });
});

describe("single use", () => {
  it("of a code", () => {
    expect(broken(new Tale().redeem("c").redeem("c", "fail").redeem("d"))).toEqual([]);
    expect(broken(new Tale().redeem("c", "info").redeem("c"))).toEqual([]);
    expect(broken(new Tale().redeem("c").redeem("c"))).toEqual(["single use"]);
  });
  it("of a code that the store lost is unknown", () => {
    const lost = (since: number) => new Tale().at(100).redeem("c").at(200).loss(since).redeem("c");
    expect(broken(lost(50))).toEqual([]);
    expect(broken(lost(150))).toEqual(["single use"]);
  });
  it("of a generation: each use creates one successor, and a tab may get the same twice", () => {
    expect(broken(new Tale().login().refresh(1, 2).refresh(1, 2))).toEqual([]);
    expect(broken(new Tale().login().refresh(1, 2).refresh(1, 3))).toEqual([]);
    expect(broken(new Tale().login().refresh(1, 2).refresh(1, 4))).toEqual(["single use"]);
    expect(broken(new Tale().login().refresh(1, 3))).toEqual(["single use"]);
  });
  it("of a generation: a tab that is behind gets the newest that another use created", () => {
    expect(broken(new Tale().login().refresh(1, 2).refresh(2, 3).refresh(1, 3))).toEqual([]);
    expect(broken(new Tale().login().refresh(1, 2).refresh(2, "away").refresh(1, 3))).toEqual([]);
    expect(broken(new Tale().login().refresh(1, 2).refresh(2, 3).refresh(2, 5))).toEqual(["single use"]);
  });
});

describe("one live generation", () => {
  it("has one token", () => {
    expect(broken(new Tale().login().refresh(1, 2, "x").refresh(1, 2, "x"))).toEqual([]);
    expect(broken(new Tale().login().refresh(1, 2, "x").refresh(1, 2, "y"))).toEqual(["one live generation"]);
  });
  it("never falls", () => {
    const ahead = () => new Tale().login().refresh(1, 2).refresh(2, 3);
    expect(broken(ahead().at(20).refresh(1, 2))).toEqual(["one live generation"]);
    expect(
      broken(new Tale().login().refresh(1, 2).at(50).refresh(2, 3).at(100).loss(49).refresh(1, 2)),
    ).toEqual([]);
  });
});

describe("answers after heal", () => {
  const healed = () => new Tale().login().authenticate("ok").at(1_000).revoke().at(3_000).quiet();
  it("requires that every revoked session is asked about, and answered", () => {
    expect(broken(healed())).toEqual(["answers after heal"]);
    expect(broken(healed().authenticate("away", {}, endStateActor))).toEqual(["answers after heal"]);
    const later = healed().authenticate("away", {}, endStateActor).authenticate("dead", {}, endStateActor);
    expect(broken(later)).toEqual([]);
  });
});

describe("a history", () => {
  it("is judged the same after it was written to a file and read", () => {
    const { history } = new Tale().login().at(1_000).revoke().at(7_000).use(b);
    expect(check(historyOf(history.toText()))).toEqual(check(history.entries));
  });

  it("of a correct server has no violations, in any order and whatever gets lost", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        expect(textOf(check(honestHistory(steps)))).toBe("");
      }),
      { numRuns: 500 },
    );
  });

  it("of a server that forgets one revoke has a violation once it serves that session after the bound", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.constantFrom(...sessions), (steps, session) => {
        const tale = new Tale().at(1);
        for (const one of sessions) tale.login(one);
        tale.at(10).revoke("ok", { user: "u", session });
        for (const { gap, session: other } of steps)
          if (other !== session) tale.at(20 + gap).use({ session: other });
        tale.at(20_000).use({ session, node: "b" });
        expect(broken(tale)).toEqual(["no use after revoke"]);
      }),
    );
  });
});

const sessions = ["s1", "s2", "s3"] as const;
const step = fc.record({
  gap: fc.integer({ min: 0, max: 3_000 }),
  session: fc.constantFrom(...sessions),
  node: fc.constantFrom("a", "b"),
  act: fc.constantFrom("use" as const, "refresh" as const, "revoke" as const, "authenticate" as const),
  answered: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A model server: one state, which both nodes know within the bound (here: at once). Any answer may get lost. */
function honestHistory(steps: readonly Step[]): readonly Entry[] {
  const tale = new Tale();
  const dead = new Set<string>();
  const generation = new Map<string, number>();
  let now = 10;
  for (const session of sessions) tale.at(1).login(session);
  for (const { gap, session, node, act, answered } of steps) {
    now += gap + 20;
    tale.at(now);
    const more = { session, node };
    const held = generation.get(session) ?? 1;
    if (act === "revoke") {
      tale.revoke(answered ? "ok" : "info", { user: "u", session }, "all");
      dead.add(session);
    } else if (act === "use") {
      if (dead.has(session)) tale.close(4301, more);
      else tale.use(more, { phase: answered ? "ok" : "info" });
    } else if (act === "authenticate")
      tale.authenticate(answered ? (dead.has(session) ? "dead" : "ok") : "away", more);
    else if (dead.has(session)) tale.refresh(held, answered ? "dead" : "away", "", more);
    else {
      tale.refresh(held, answered ? held + 1 : "away", `${session} ${held + 1}`, more);
      if (answered) generation.set(session, held + 1);
    }
  }
  return tale.history.entries;
}
