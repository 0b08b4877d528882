import type { Holding } from "../people.ts";
import { fingerprint, generationOf } from "../people.ts";
import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";
import { postForm } from "../token-endpoint.ts";

interface Grant {
  readonly access_token: string;
  readonly refresh_token?: string;
}
type Outcome = { readonly grant: Grant } | "dead" | "unknown";

const over: ReadonlySet<unknown> = new Set(["invalid_grant", "token_reused"]);

/**
 * Refreshes a session that rotates: on its socket or over HTTP, from two tabs at two nodes at once. Some answers get
 * lost; then the older token is presented again. It is never further behind than an honest client.
 */
export async function keepFresh(scene: Scene, random: Random, holding: Holding): Promise<void> {
  while (!scene.over.aborted && !holding.isOver) {
    await rest(random.between(300, 1_200), scene.over);
    const way = random.next();
    if (way < 0.35) await inBand(scene, holding);
    else if (way < 0.65) await overHttp(scene, random, holding);
    else if (way < 0.85) await overHttp(scene, random, holding, random.between(1, 15));
    else await Promise.all([overHttp(scene, random, holding), overHttp(scene, random, holding)]);
  }
}

async function inBand(scene: Scene, holding: Holding): Promise<void> {
  const { visit, refreshToken } = holding;
  if (visit === undefined) return;
  await refresh(scene, holding, { node: visit.node, refreshToken }, async () => {
    const answer = await visit.socket.request("auth/refresh", { refresh_token: refreshToken }, 8_000);
    if (answer.kind !== "answer") return "unknown";
    const { success, result, error } = answer.message;
    if (success === true) return { grant: result as Grant };
    return over.has((error as { code?: unknown } | undefined)?.code) ? "dead" : "unknown";
  });
}

/** With a deadline of a few milliseconds the answer is lost, and the request may or may not have been carried out. */
export async function overHttp(
  scene: Scene,
  random: Random,
  holding: Holding,
  deadlineMs = 5_000,
): Promise<void> {
  await refreshAt(scene, "refreshers", random.pick(scene.nodes), holding, deadlineMs);
}

export async function refreshAt(
  scene: Scene,
  actor: string,
  node: Scene["nodes"][number],
  holding: Holding,
  deadlineMs?: number,
): Promise<Outcome> {
  const { refreshToken } = holding;
  return await refresh(scene, holding, { node: node.name, refreshToken, actor }, async () => {
    const form = { grant_type: "refresh_token", refresh_token: refreshToken };
    const answer = await postForm(node.port, "/auth/token", form, deadlineMs);
    if (answer.kind === "lost" || answer.status >= 500 || answer.status === 429) return "unknown";
    if (answer.status === 200) return { grant: answer.body as unknown as Grant };
    return over.has(answer.body.error) ? "dead" : "unknown";
  });
}

async function refresh(
  { history }: Scene,
  holding: Holding,
  from: { readonly node: string; readonly refreshToken: string; readonly actor?: string },
  ask: () => Promise<Outcome>,
): Promise<Outcome> {
  const presented = generationOf(from.refreshToken);
  const about = { ...holding.subject, node: from.node };
  const done = history.begin(from.actor ?? "refreshers", { op: "refresh", presented, ...about });
  const outcome = await ask();
  if (outcome === "dead") done("fail", { dead: true });
  else if (outcome === "unknown") done("info");
  else {
    const given = outcome.grant.refresh_token;
    if (given === undefined) done("ok");
    else done("ok", { given: generationOf(given), token: fingerprint(given) });
    holding.renewed(outcome.grant);
  }
  return outcome;
}
