import { describe, expect, it } from "vitest";

import type { Authority } from "../../src/auth/authority.ts";
import { home } from "../support/authority.ts";
import { setUpOwner, startNode } from "../support/gateway.ts";
import { SetClock } from "../support/set-clock.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const dayMs = 86_400_000;
const clientId = "https://one.example/";

async function open({ users, sessions }: Authority, userId: string) {
  const standing = await users.read(userId);
  if (standing === undefined) throw new Error("no user");
  const { user, version: userVersion, epoch: userEpoch } = standing;
  return await sessions.open({
    user,
    userVersion,
    userEpoch,
    credential: null,
    clientId,
    clientName: null,
    rotates: false,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now(),
    peer: home,
  });
}

const refresh = ({ sessions }: Authority, refreshToken: string) =>
  sessions.refresh({ refreshToken, clientId, peer: home });

async function problemsOf(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  return ((await answer.json()) as { readonly problems: readonly string[] }).problems.join("\n");
}

async function untilProblems(port: number, holds: (problems: string) => boolean): Promise<void> {
  const look = async () => {
    while (!holds(await problemsOf(port))) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  await within(look(), "what /readyz says of the clock");
}

/** Gateways on one embedded store, one after another, on a machine whose clock the test sets. */
function installation(onTestFinished: (undo: () => void) => void) {
  const clock = new SetClock();
  const folder = temporaryFolder();
  onTestFinished(() => folder.remove());
  return { clock, start: () => startNode({ data: folder.path, transport: "ws" }, { clock }) };
}

describe.concurrent("an embedded store on a machine with a wrong clock", () => {
  it("that was started 200 days behind: a use does not shorten an expiry, and no token is from then", async ({
    onTestFinished,
  }) => {
    const { clock, start } = installation(onTestFinished);
    const first = await start();
    const owner = await setUpOwner(first.authority);
    const [early, late] = [await open(first.authority, owner.id), await open(first.authority, owner.id)];
    await first.stop();
    clock.offsetMs = -200 * dayMs;
    const second = await start();
    const { sessions, authentication } = second.authority;
    expect(await problemsOf(second.port)).toContain("200 days behind the time that was known before");
    const between = await refresh(second.authority, early.refreshToken);
    expect(Math.abs((between.session.expiresAt ?? 0) - (early.session.expiresAt ?? 0))).toBeLessThan(dayMs);
    clock.offsetMs = 0;
    await untilProblems(second.port, (problems) => problems === "");
    expect(await authentication.authenticate(between.accessToken, home)).toMatchObject({ ok: true });
    for (const { refreshToken } of [early, late]) await refresh(second.authority, refreshToken);
    expect(await sessions.list(owner.id)).toHaveLength(2);
    await second.stop();
  });

  it("that is right, after 8 hours without a gateway: sessions stay, and what is said fits a pause", async ({
    onTestFinished,
  }) => {
    const { clock, start } = installation(onTestFinished);
    const first = await start();
    const owner = await setUpOwner(first.authority);
    const { refreshToken } = await open(first.authority, owner.id);
    await first.stop();
    clock.offsetMs = 8 * 3_600_000;
    const second = await start();
    onTestFinished(() => second.stop());
    const said = await problemsOf(second.port);
    expect(said).toContain("No gateway has run for 8 hours, or this machine's clock was set ahead");
    expect(said).not.toContain("ahead of the time that was known before");
    await refresh(second.authority, refreshToken);
  });

  it("that jumps 100 days ahead: no session ends and no record is swept, and it is logged", async ({
    onTestFinished,
  }) => {
    const { clock, start } = installation(onTestFinished);
    const node = await start();
    onTestFinished(() => node.stop());
    const owner = await setUpOwner(node.authority);
    const [idle, used] = [await open(node.authority, owner.id), await open(node.authority, owner.id)];
    clock.offsetMs = 100 * dayMs;
    await untilProblems(node.port, (problems) => problems.includes("100 days ahead of the time that was"));
    // Longer than the time between two sweeps.
    await new Promise((resolve) => setTimeout(resolve, 2_200));
    const { sessions, authentication } = node.authority;
    expect(await sessions.expireIfDue(idle.session.id)).toBe(idle.session.expiresAt);
    expect((await refresh(node.authority, used.refreshToken)).session.expiresAt).toBeLessThan(
      Date.now() + 91 * dayMs,
    );
    expect(await authentication.authenticate(idle.accessToken, home)).toMatchObject({ ok: true });
    const metrics = await (await fetch(`http://127.0.0.1:${node.port}/metrics`)).text();
    expect(metrics).toMatch(/^gatehouse_clock_doubts_total 1$/m);
    expect(metrics).toMatch(/^gatehouse_clock_doubted 1$/m);
    clock.offsetMs = 0;
    await untilProblems(node.port, (problems) => problems === "");
    await refresh(node.authority, idle.refreshToken);
    expect(await sessions.list(owner.id)).toHaveLength(2);
  });
});
