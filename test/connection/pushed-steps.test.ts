import { expect, it } from "vitest";

import type { FlowStep } from "../../protocol/flow.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { FlowAnswer, FlowHolder, LoginFlows } from "../../src/auth/login/login-flows.ts";
import { admitted, connectionRig, settled } from "../support/connection-rig.ts";
import { loseSocket } from "../support/fake-socket.ts";
import { principalOf } from "../support/people.ts";

const about = { flow_id: "1".repeat(32), handler: ["outside", null] as [string, null] };
const progress: FlowStep = {
  type: "progress",
  ...about,
  step_id: "wait",
  progress_action: "wait",
  description_placeholders: null,
};
const entry: FlowStep = {
  type: "create_entry",
  ...about,
  description: null,
  description_placeholders: null,
  result: {
    access_token: "granted",
    token_type: "Bearer",
    expires_in: 1800,
    refresh_token: "r",
    session_id: "s1",
    ha_auth_provider: "outside",
  },
};
const answer = (step: FlowStep, stepNumber = 1, endsInMs = 300_000): FlowAnswer => ({
  step,
  stepNumber,
  endsInMs,
  purpose: "session",
  flowSecret: "secret",
});

/** A socket whose flow waits; `record` is what a look finds. */
async function waitingSocket(endsInMs?: number) {
  const holders: FlowHolder[] = [];
  const looks: unknown[] = [];
  let record: FlowAnswer | Error | undefined;
  const logins: Partial<LoginFlows> = {
    async start(_request, _peer, holder) {
      if (holder !== undefined) holders.push(holder);
      return answer(progress, 1, endsInMs);
    },
    async next(request) {
      looks.push(request.stepNumber);
      if (record instanceof Error) throw record;
      return record;
    },
    detach: () => undefined,
    cancel: async () => ({ type: "abort", ...about, reason: "cancelled", description_placeholders: null }),
  };
  const rig = connectionRig({
    logins,
    authentication: { authenticate: () => admitted(principalOf()), recheck: () => undefined },
  });
  const client = rig.connect();
  client.say({ id: 7, type: "auth/login/start", handler: about.handler });
  await settled();
  client.heard();
  return {
    rig,
    client,
    looks,
    tell: async () => {
      holders[0]?.flowContinued();
      await settled();
    },
    wind: async (ms: number) => {
      rig.wind(ms);
      await settled();
    },
    set record(found: FlowAnswer | Error | undefined) {
      record = found;
    },
  };
}

it("a socket that is told reads its flow, and says nothing while nothing is new", async () => {
  const it = await waitingSocket();
  await it.tell();
  expect([it.looks, it.client.heard()]).toEqual([[1], []]);
  it.record = answer({ ...progress, step_id: "next" }, 2);
  await it.tell();
  expect(it.client.heard()).toEqual([{ id: 7, type: "event", event: { ...progress, step_id: "next" } }]);
  it.record = answer(entry, 3);
  await it.tell();
  expect(it.client.heard()).toMatchObject([{ id: 7, event: { type: "create_entry" } }, { type: "auth_ok" }]);
  expect(it.looks).toEqual([1, 1, 2]);
});

it("looks by itself shortly before its time for a login ends, and not before", async () => {
  const it = await waitingSocket();
  it.record = answer(entry, 2);
  let pings = 0;
  for (let second = 0; second < 297; second += 1) {
    await it.wind(1_000);
    if (it.client.socket.pings > pings) it.client.handler.pong();
    pings = it.client.socket.pings;
  }
  expect(it.looks).toEqual([]);
  await it.wind(1_500);
  expect(it.client.heard()).toMatchObject([{ event: { type: "create_entry" } }, { type: "auth_ok" }]);
});

it("looks again at the end of a flow that is older than the socket", async () => {
  const it = await waitingSocket(10_000);
  for (let second = 0; second < 9; second += 1) await it.wind(1_000);
  expect([it.looks, it.client.heard()]).toEqual([[1], []]);
  it.record = answer({ type: "abort", ...about, reason: "login_expired", description_placeholders: null });
  await it.wind(1_500);
  expect(it.client.heard()).toMatchObject([{ id: 7, event: { type: "abort", reason: "login_expired" } }]);
});

it("looks again when the record cannot be read, or is being finished elsewhere", async () => {
  const it = await waitingSocket();
  for (const code of ["unavailable", "conflict"] as const) {
    it.record = new AuthError(code);
    await it.tell();
    expect(it.client.heard()).toEqual([]);
  }
  it.record = answer(entry, 2);
  await it.wind(1_100);
  expect(it.client.heard()).toMatchObject([{ event: { type: "create_entry" } }, { type: "auth_ok" }]);
});

it("a flow that ended elsewhere is told as an abort", async () => {
  const it = await waitingSocket();
  it.record = new AuthError("invalid_flow");
  await it.tell();
  const event = { type: "abort", ...about, reason: "ended_elsewhere", description_placeholders: null };
  expect(it.client.heard()).toEqual([{ id: 7, type: "event", event }]);
  await it.tell();
  expect(it.looks).toEqual([1]);
});

it("nobody looks for a socket that is gone or was authenticated otherwise", async () => {
  for (const end of ["gone", "authenticated"] as const) {
    const it = await waitingSocket();
    if (end === "gone") loseSocket(it.client.handler);
    else it.client.say({ type: "auth", access_token: "another" });
    await settled();
    it.record = answer(entry, 2);
    await it.tell();
    for (let second = 0; second < 5; second += 1) await it.wind(1_000);
    expect([end, it.looks]).toEqual([end, []]);
  }
});
