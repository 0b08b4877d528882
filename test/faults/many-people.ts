import { ChaosSocket } from "../chaos/chaos-socket.ts";
import { nodeAt, type Stage, succeeded } from "../chaos/stage.ts";
import { eventually } from "../support/eventually.ts";
import { inTurns, resultOf } from "./many-sessions.ts";

/** Somebody with a login. */
export interface Login {
  readonly id: string;
  readonly username: string;
  readonly password: string;
}

export async function addMany(stage: Stage, count: number, name: string): Promise<readonly Login[]> {
  const names = Array.from({ length: count }, (_, index) => `${name}${index}`);
  const rest = { isAdmin: false, spared: false };
  return await inTurns(names, (username) =>
    stage.scene.owner.addPerson(nodeAt(stage.scene, 0), {
      username,
      password: `a long password of ${username}`,
      ...rest,
    }),
  );
}

/** Deactivates every other one and removes the rest; gives those for whom it was acknowledged. */
export async function disableMany(stage: Stage, people: readonly Login[]): Promise<readonly Login[]> {
  const answers = await inTurns(people, ({ id }, at) => {
    const [type, fields] =
      at % 2 === 0 ? ["config/auth/update", { is_active: false }] : ["config/auth/delete", {}];
    return stage.scene.owner.command(nodeAt(stage.scene, 0), String(type), { user_id: id, ...fields });
  });
  return people.filter((_, at) => succeeded(answers[at] ?? { kind: "closed", code: 0 }));
}

/** "in", or what the form says in the end: a node that does not know is asked again. */
export async function logInAt(stage: Stage, at: number, { username, password }: Login): Promise<string> {
  let said = "";
  await eventually("it to hold", async () => {
    said = (await tryOnce(nodeAt(stage.scene, at).port, { username, password }).catch(() => "")) ?? "";
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
    const { flow_id } = resultOf<Step>(await socket.request("auth/login/start", { handler }, 6_000));
    const answer = await socket.request("auth/login/step", { flow_id, user_input }, 6_000);
    const { type, errors } = resultOf<Step>(answer);
    return type === "create_entry" ? "in" : errors?.base;
  } finally {
    socket.drop();
  }
}
