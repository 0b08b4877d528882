import { ChaosSocket } from "../chaos/chaos-socket.ts";
import { type DirectedRun, nodeAt, succeeded } from "../chaos/directed-run.ts";
import { eventually } from "../support/eventually.ts";
import { answerWaitMs } from "../support/within.ts";
import { inTurns, resultOf } from "./many-sessions.ts";

/** A user with a login. */
export interface Login {
  readonly id: string;
  readonly username: string;
  readonly password: string;
}

export async function addMany(run: DirectedRun, count: number, name: string): Promise<readonly Login[]> {
  const names = Array.from({ length: count }, (_, index) => `${name}${index}`);
  const rest = { isAdmin: false, neverRevoked: false };
  return await inTurns(names, (username) =>
    run.context.owner.addPerson(nodeAt(run.context, 0), {
      username,
      password: `a long password of ${username}`,
      ...rest,
    }),
  );
}

/** Deactivates every other one and removes the rest; returns those for whom it was acknowledged. */
export async function disableMany(run: DirectedRun, people: readonly Login[]): Promise<readonly Login[]> {
  const answers = await inTurns(people, ({ id }, at) => {
    const [type, fields] =
      at % 2 === 0 ? ["config/auth/update", { is_active: false }] : ["config/auth/delete", {}];
    return run.context.owner.command(
      nodeAt(run.context, 0),
      String(type),
      { user_id: id, ...fields },
      answerWaitMs,
    );
  });
  return people.filter((_, at) => succeeded(answers[at] ?? { kind: "closed", code: 0 }));
}

/** "in", or the form's final error: a node that does not know is asked again. */
export async function logInAt(run: DirectedRun, at: number, { username, password }: Login): Promise<string> {
  let said = "";
  await eventually("it to hold", async () => {
    said = (await tryOnce(nodeAt(run.context, at).port, { username, password }).catch(() => "")) ?? "";
    return said !== "";
  });
  return said;
}

interface Step {
  readonly flow_id: string;
  readonly type: string;
  readonly errors?: { readonly base?: string };
}

async function tryOnce(port: number, user_input: object): Promise<string | undefined> {
  const socket = await ChaosSocket.open(port);
  if (socket === undefined) return undefined;
  try {
    const handler = ["homeassistant", null];
    const { flow_id } = resultOf<Step>(await socket.request("auth/login/start", { handler }, answerWaitMs));
    const answer = await socket.request("auth/login/step", { flow_id, user_input }, answerWaitMs);
    const { type, errors } = resultOf<Step>(answer);
    return type === "create_entry" ? "in" : errors?.base;
  } finally {
    socket.drop();
  }
}
