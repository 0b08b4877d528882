import type { Answer } from "../chaos-socket.ts";
import type { Settle } from "../history.ts";
import type { Holding } from "../people.ts";
import type { Random } from "../random.ts";
import { rest, type Scene } from "../scene.ts";
import { postForm } from "../token-endpoint.ts";

/** Revokes sessions and whole users in every possible way, through any node. */
export async function revokeAll(scene: Scene, random: Random): Promise<void> {
  while (!scene.over.aborted) {
    await rest(random.between(250, 900), scene.over);
    const alive = scene.holdings.filter(({ isOver, person }) => !isOver && !person.spared);
    if (alive.length === 0) continue;
    const holding = random.pick(alive);
    const way = random.next();
    // Its answer may take long, and the others do not wait for it.
    scene.spawn(
      way < 0.6
        ? withRefreshToken(scene, random, holding)
        : way < 0.75
          ? byItsUser(scene, holding)
          : way < 0.9
            ? deactivate(scene, random, holding)
            : byCommandLine(scene, holding),
    );
  }
}

/** RFC 7009: the holder of a refresh token may end its session. */
async function withRefreshToken(scene: Scene, random: Random, holding: Holding): Promise<void> {
  const node = random.pick(scene.nodes);
  const done = begin(scene, node.name, { user: holding.user, session: holding.session });
  const answer = await postForm(node.port, "/auth/revoke", { token: holding.refreshToken });
  done(answer.kind === "answer" && answer.status === 200 ? "ok" : "info");
}

/** The user's own "log out everywhere", on the session's own socket. */
async function byItsUser(scene: Scene, { visit, user }: Holding): Promise<void> {
  if (visit === undefined) return;
  const done = begin(scene, visit.node, { user });
  settled(done, await visit.socket.request("auth/delete_all_refresh_tokens", {}, 8_000));
}

/** The owner deactivates the user and activates it again, which restores none of its sessions. */
async function deactivate(scene: Scene, random: Random, { user }: Holding): Promise<void> {
  const node = random.pick(scene.nodes);
  const done = begin(scene, node.name, { user });
  const off = { user_id: user, is_active: false };
  settled(done, await scene.owner.command(node, "config/auth/update", off));
  for (let tries = 0; tries < 20 && !scene.over.aborted; tries += 1) {
    const on = { user_id: user, is_active: true };
    const answer = await scene.owner.command(random.pick(scene.nodes), "config/auth/update", on, 2_000);
    if (answer.kind === "answer" && answer.message.success === true) return;
    await rest(300, scene.over);
  }
}

async function byCommandLine(scene: Scene, { user, session }: Holding): Promise<void> {
  const done = begin(scene, "command line", { user, session });
  const { code } = await scene.gatehouse(["revoke", "--session", session, "--json"]);
  done(code === 0 ? "ok" : "info");
}

function begin({ history }: Scene, node: string, target: { user: string; session?: string }): Settle {
  return history.begin("revoker", { op: "revoke", node, target });
}

function settled(done: Settle, answer: Answer): void {
  done(answer.kind === "answer" && answer.message.success === true ? "ok" : "info");
}
