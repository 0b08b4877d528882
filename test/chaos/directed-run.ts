import { logIn } from "./actors/login-actor.ts";
import type { Answer } from "./chaos-socket.ts";
import { check, type Violation } from "./checker.ts";
import { type Deployment, type DeploymentOptions, startDeployment } from "./deployment.ts";
import type { RecordedSocket } from "./recorded-socket.ts";
import type { RunContext } from "./run-context.ts";
import { createRunContext } from "./run-context.ts";
import type { SessionClient, TestUser } from "./session-client.ts";
import { postForm } from "./token-endpoint.ts";

/** A deployment in which a test directs every step. What happens is recorded and checked as in a run. */
export interface DirectedRun {
  readonly deployment: Deployment;
  readonly context: RunContext;
  person(username: string): TestUser;
  /** A new session with its first socket at that node. */
  logIn(
    username: string,
    node: number,
  ): Promise<{ readonly client: SessionClient; readonly recorded: RecordedSocket }>;
  /** Ends a session by its refresh token at that node. Rejects if it was not acknowledged. */
  revoke(client: SessionClient, node: number): Promise<void>;
  violations(): readonly Violation[];
  dispose(): Promise<void>;
}

/** How late this process, which has nothing else to do, may read what was sent in time on a busy machine, ms. */
const slackMs = 500;
const revokeTries = 5;

export async function startDirectedRun(
  options: Omit<DeploymentOptions, "storeTimeoutMs">,
): Promise<DirectedRun> {
  const deployment = await startDeployment({ storeTimeoutMs: 1_000, ...options });
  const stop = new AbortController();
  const context = await createRunContext(deployment, stop.signal, []).catch(async (error: unknown) => {
    await deployment.dispose();
    throw error;
  });
  const person = (username: string) => {
    const found = context.users.find((one) => one.username === username);
    if (found === undefined) throw new RangeError(`nobody is called ${username}`);
    return found;
  };
  return {
    deployment,
    context,
    person,
    logIn: async (username, at) => await loggedIn(context, person(username), at),
    revoke: (client, node) => revoke(context, client, node),
    violations: () => check(context.history.entries, { slackMs }),
    async dispose() {
      stop.abort();
      context.owner.end();
      await deployment.dispose();
    },
  };
}

async function loggedIn(context: RunContext, who: TestUser, at: number) {
  for (let tries = 0; tries < 20; tries += 1) {
    const entered = await logIn(context, nodeAt(context, at), who);
    if (entered !== undefined) return entered;
  }
  throw new Error(`${who.username} cannot log in`);
}

export function nodeAt({ nodes }: RunContext, at: number) {
  const node = nodes[at];
  if (node === undefined) throw new RangeError(`there is no node ${at}`);
  return node;
}

async function revoke(
  context: RunContext,
  { subject, refreshToken }: SessionClient,
  at: number,
): Promise<void> {
  const node = nodeAt(context, at);
  for (let tries = 1; ; tries += 1) {
    const done = context.history.begin("revoker", { op: "revoke", node: node.name, target: subject });
    const answer = await postForm(node.port, "/auth/revoke", { token: refreshToken });
    const acknowledged = answer.kind === "answer" && answer.status === 200;
    done(acknowledged ? "ok" : "info");
    if (acknowledged) return;
    // A busy machine may not answer in the time of one call.
    if (tries === revokeTries) throw new Error(`the revoke was not acknowledged: ${JSON.stringify(answer)}`);
  }
}

export function succeeded(answer: Answer): boolean {
  return answer.kind === "answer" && answer.message.success === true;
}
