import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { ChaosSocket } from "../chaos/chaos-socket.ts";
import type { Shape } from "../chaos/deployment.ts";
import { type DirectedRun, nodeAt, startDirectedRun } from "../chaos/directed-run.ts";
import type { Fault } from "../chaos/schedule.ts";
import { postForm } from "../chaos/token-endpoint.ts";
import { eventually } from "../support/eventually.ts";
import { answerWaitMs } from "../support/within.ts";
import { endMany, inTurns, type LongLived, openMany } from "./many-sessions.ts";
import { addMany, disableMany, logInAt } from "./many-users.ts";
import { wait } from "./timed-socket.ts";

const revocations = 990;
/** Every other one is deactivated, the rest removed. */
const disabled = 10;
const config = {
  limits: {
    messages_per_second: 10_000,
    messages_per_second_per_user: 10_000,
    long_lived_tokens_per_user: 2_000,
  },
};

const rows: readonly (readonly [row: string, shape: Shape, fault: Fault])[] = [
  ["a Sentinel failover to a replica without the last writes", "sentinel", { kind: "failover" }],
  ["a Cluster whose primary dies", "cluster", { kind: "primary_kill" }],
  ["a Cluster whose replica takes over without an election", "cluster", { kind: "takeover" }],
  ["an old copy of Redis' data that is restored", "standalone", { kind: "rollback" }],
];

/** Each is a thousand revocations, and all at once on a busy machine take longer than other tests may. */
const timeout = 20 * 60_000;

describe.concurrent("writes that were acknowledged and are lost", { timeout }, () => {
  it.for(rows)(
    "%s: every revocation takes effect, nobody else is logged out",
    async ([, shape, fault], { onTestFinished }) => {
      const run = await startDirectedRun({ shape, nodes: 2, embedded: {}, config });
      onTestFinished(run.dispose);
      const { recorded } = await run.logIn("anna", 0);
      const { client: neverRevoked } = await run.logIn("dora", 1);
      const devices = await openMany(recorded.socket, revocations);
      const people = await addMany(run, disabled, "person");
      const takeAll = async () => {
        const [sessions, logins] = await Promise.all([
          endMany(recorded.socket, devices),
          disableMany(run, people),
        ]);
        return { sessions, logins };
      };

      // If the fault happens at one moment, the acknowledgements come before it.
      const before = fault.kind === "takeover" || fault.kind === "primary_kill";
      const early = before ? await takeAll() : undefined;
      const heal = await run.deployment.injectFault(fault);
      const rotated = before ? neverRevoked.refreshToken : await refreshed(run, neverRevoked.refreshToken);
      const revoked = early ?? (await takeAll());
      expect([revoked.sessions.length, revoked.logins.length]).toEqual([revocations, disabled]);
      await heal();

      await eventually("it to hold", async () => (await refreshed(run, rotated).catch(() => "")) !== "");
      await wait(2_000);
      for (const node of [0, 1]) {
        expect(await verdicts(run, node, revoked.sessions)).toEqual(["dead"]);
        const said = await inTurns(revoked.logins, (login) => logInAt(run, node, login), 4);
        expect([...new Set(said)]).toEqual(["invalid_auth"]);
        expect(await logInAt(run, node, run.person("cleo"))).toBe("in");
      }
      const [token = ""] = neverRevoked.accessTokens;
      const socket = await ChaosSocket.open(nodeAt(run.context, 0).port);
      expect(await socket?.authenticate(token, answerWaitMs)).toEqual({ kind: "ok" });
      socket?.drop();
    },
  );
});

/** The next refresh token. Rejects if it was not given. */
async function refreshed(run: DirectedRun, refreshToken: string): Promise<string> {
  const form = { grant_type: "refresh_token", refresh_token: refreshToken };
  const answer = await postForm(nodeAt(run.context, 1).port, "/auth/token", form, answerWaitMs);
  if (answer.kind !== "answer" || answer.status !== 200) throw new Error(JSON.stringify(answer));
  return String(answer.body.refresh_token);
}

/** The node's final answers for these tokens, each answer once. `unavailable` is not final and is asked again. */
async function verdicts(
  run: DirectedRun,
  at: number,
  sessions: readonly LongLived[],
): Promise<readonly string[]> {
  const { port } = nodeAt(run.context, at);
  const said = await inTurns(sessions, async ({ token }) => {
    let reception: Awaited<ReturnType<ChaosSocket["authenticate"]>> | undefined;
    await eventually("it to hold", async () => {
      const socket = await ChaosSocket.open(port);
      reception = await socket?.authenticate(token, answerWaitMs);
      socket?.drop();
      return (
        reception !== undefined &&
        (reception.kind !== "refused" || reception.code !== closeCodes.unavailable.number)
      );
    });
    if (reception?.kind !== "refused") return "let in";
    return reception.code >= 4300 && reception.code < 4400 ? "dead" : `refused with ${reception.code}`;
  });
  return [...new Set(said)];
}
