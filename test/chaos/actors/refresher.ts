import type { Random } from "../random.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";
import type { SessionClient } from "../session-client.ts";
import { fingerprint, generationOf } from "../session-client.ts";
import { postForm } from "../token-endpoint.ts";

interface Grant {
  readonly access_token: string;
  readonly refresh_token?: string;
}
/** `why`: there was no answer that decides. */
type Outcome = { readonly grant: Grant } | "dead" | { readonly why: string };

export function isUnknown(outcome: Outcome): boolean {
  return outcome !== "dead" && "why" in outcome;
}

const over: ReadonlySet<unknown> = new Set(["invalid_grant", "token_reused"]);

/**
 * Refreshes a session that rotates: on its socket or over HTTP, from two tabs at two nodes at once. Some answers get
 * lost; then the older token is presented again. It is never further behind than an honest client.
 */
export async function refreshRepeatedly(
  context: RunContext,
  random: Random,
  client: SessionClient,
): Promise<void> {
  while (!context.stopSignal.aborted && !client.hasEnded) {
    await waitOrStop(random.between(300, 1_200), context.stopSignal);
    const way = random.next();
    if (way < 0.35) await inBand(context, client);
    else if (way < 0.65) await overHttp(context, random, client);
    else if (way < 0.85) await overHttp(context, random, client, random.between(1, 15));
    else await Promise.all([overHttp(context, random, client), overHttp(context, random, client)]);
  }
}

async function inBand(context: RunContext, client: SessionClient): Promise<void> {
  const { recorded, refreshToken } = client;
  if (recorded === undefined) return;
  await refresh(context, client, { node: recorded.node, refreshToken }, async () => {
    const answer = await recorded.socket.request("auth/refresh", { refresh_token: refreshToken }, 8_000);
    if (answer.kind !== "answer") return { why: answer.kind };
    const { success, result, error } = answer.message;
    if (success === true) return { grant: result as Grant };
    const { code } = error as { readonly code: string };
    return over.has(code) ? "dead" : { why: code };
  });
}

/** With a deadline of a few milliseconds the answer is lost, and the request may or may not have been carried out. */
export async function overHttp(
  context: RunContext,
  random: Random,
  client: SessionClient,
  deadlineMs = 5_000,
): Promise<void> {
  await refreshAt(context, "refreshers", random.pick(context.nodes), client, deadlineMs);
}

export async function refreshAt(
  context: RunContext,
  actor: string,
  node: RunContext["nodes"][number],
  client: SessionClient,
  deadlineMs?: number,
): Promise<Outcome> {
  const { refreshToken } = client;
  return await refresh(context, client, { node: node.name, refreshToken, actor }, async () => {
    const form = { grant_type: "refresh_token", refresh_token: refreshToken };
    const answer = await postForm(node.port, "/auth/token", form, deadlineMs);
    if (answer.kind === "lost") return { why: "lost" };
    const { status, body } = answer;
    if (status === 200) return { grant: body as unknown as Grant };
    const decides = status < 500 && status !== 429 && over.has(body.error);
    return decides ? "dead" : { why: `${status} ${String(body.error)} ${String(body.error_description)}` };
  });
}

async function refresh(
  { history }: RunContext,
  client: SessionClient,
  from: { readonly node: string; readonly refreshToken: string; readonly actor?: string },
  ask: () => Promise<Outcome>,
): Promise<Outcome> {
  const presented = generationOf(from.refreshToken);
  const about = { ...client.subject, node: from.node };
  const done = history.begin(from.actor ?? "refreshers", { op: "refresh", presented, ...about });
  const outcome = await ask();
  if (outcome === "dead") done("fail", { dead: true });
  else if ("why" in outcome) done("info", outcome);
  else {
    const given = outcome.grant.refresh_token;
    if (given === undefined) done("ok");
    else done("ok", { given: generationOf(given), token: fingerprint(given) });
    client.renewed(outcome.grant);
  }
  return outcome;
}
