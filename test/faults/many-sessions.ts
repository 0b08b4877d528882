import type { Answer, ChaosSocket } from "../chaos/chaos-socket.ts";
import { answerWaitMs } from "../support/within.ts";

/** A session of its own, and the token that opens its sockets. */
export interface LongLived {
  readonly session: string;
  readonly token: string;
}

/** How many at once: fewer than may be in flight, and slower than the message rate. */
const atOnce = 16;

/** Opens sessions of the socket's user that outlive the socket. */
export async function openMany(
  socket: ChaosSocket,
  count: number,
  name = "device",
): Promise<readonly LongLived[]> {
  const opened = await inTurns(
    Array.from({ length: count }, (_, index) => `${name} ${index}`),
    (client_name) => openOne(socket, client_name),
  );
  const listed = resultOf<readonly { readonly id: string; readonly client_name: string | null }[]>(
    await socket.request("auth/refresh_tokens", {}, answerWaitMs),
  );
  const ids = new Map(listed.map(({ id, client_name }) => [client_name, id]));
  return opened.map(({ name, token }) => ({ session: ids.get(name) ?? "", token }));
}

/**
 * On a busy machine the store may not answer in time. Then the session may be there all the same, so the next try has a
 * name of its own.
 */
async function openOne(socket: ChaosSocket, name: string) {
  const end = performance.now() + answerWaitMs;
  for (let tries = 1; ; tries += 1) {
    const client_name = tries === 1 ? name : `${name}, try ${tries}`;
    const fields = { lifespan: 1, client_name };
    const answer = await socket.request("auth/long_lived_access_token", fields, answerWaitMs);
    if (!isTemporary(answer) || performance.now() > end)
      return { name: client_name, token: resultOf<string>(answer) };
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** The store, or the node, did not know in time. */
export function isTemporary(answer: Answer): boolean {
  return codeOf(answer) === "unavailable";
}

function codeOf(answer: Answer): unknown {
  if (answer.kind !== "answer") return undefined;
  const { error } = answer.message;
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

/** Ends them one by one; returns those whose end was acknowledged. */
export async function endMany(
  socket: ChaosSocket,
  sessions: readonly LongLived[],
): Promise<readonly LongLived[]> {
  const ended = await inTurns(sessions, ({ session }) => endOne(socket, session));
  return sessions.filter((_, index) => ended[index]);
}

/** On a busy machine the store may not answer in time. If it was carried out all the same, the next try finds no session. */
async function endOne(socket: ChaosSocket, session: string): Promise<boolean> {
  const end = performance.now() + answerWaitMs;
  for (let tries = 1; ; tries += 1) {
    const answer = await socket.request(
      "auth/delete_refresh_token",
      { refresh_token_id: session },
      answerWaitMs,
    );
    if (answer.kind === "answer" && answer.message.success === true) return true;
    if (tries > 1 && codeOf(answer) === "invalid_token_id") return true;
    if (!isTemporary(answer) || performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

export async function inTurns<T, R>(
  items: readonly T[],
  act: (item: T, index: number) => Promise<R>,
  width = atOnce,
): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const work = async () => {
    for (let at = next; at < items.length; at = next) {
      next += 1;
      results[at] = await act(items[at] as T, at);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return results;
}

export function resultOf<T>(answer: Answer): T {
  if (answer.kind === "answer" && answer.message.success === true) return answer.message.result as T;
  throw new Error(`refused: ${JSON.stringify(answer)}`);
}
