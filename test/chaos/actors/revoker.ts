import type { Answer } from "../chaos-socket.ts";
import type { Settle } from "../history.ts";
import type { Random } from "../random.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";
import type { SessionClient } from "../session-client.ts";
import { postForm } from "../token-endpoint.ts";

/** Revokes sessions and whole users in every possible way, through any node. */
export async function revokeAll(context: RunContext, random: Random): Promise<void> {
  while (!context.stopSignal.aborted) {
    await waitOrStop(random.between(250, 900), context.stopSignal);
    const alive = context.clients.filter(({ hasEnded, testUser }) => !hasEnded && !testUser.neverRevoked);
    if (alive.length === 0) continue;
    const client = random.pick(alive);
    const way = random.next();
    // Its answer may take long, and the others do not wait for it.
    context.spawn(
      way < 0.6
        ? withRefreshToken(context, random, client)
        : way < 0.75
          ? byItsUser(context, client)
          : way < 0.9
            ? deactivate(context, random, client)
            : byCommandLine(context, client),
    );
  }
}

/** RFC 7009: the holder of a refresh token may end its session. */
async function withRefreshToken(context: RunContext, random: Random, client: SessionClient): Promise<void> {
  const node = random.pick(context.nodes);
  const done = begin(context, node.name, { user: client.user, session: client.session });
  const answer = await postForm(node.port, "/auth/revoke", { token: client.refreshToken });
  done(answer.kind === "answer" && answer.status === 200 ? "ok" : "info");
}

/** The user's own "log out everywhere", on the session's own socket. */
async function byItsUser(context: RunContext, { recorded, user }: SessionClient): Promise<void> {
  if (recorded === undefined) return;
  const done = begin(context, recorded.node, { user });
  settled(done, await recorded.socket.request("auth/delete_all_refresh_tokens", {}, 8_000));
}

/** The owner deactivates the user and activates it again, which restores none of its sessions. */
async function deactivate(context: RunContext, random: Random, { user }: SessionClient): Promise<void> {
  const node = random.pick(context.nodes);
  const done = begin(context, node.name, { user });
  const off = { user_id: user, is_active: false };
  settled(done, await context.owner.command(node, "config/auth/update", off));
  for (let tries = 0; tries < 20 && !context.stopSignal.aborted; tries += 1) {
    const on = { user_id: user, is_active: true };
    const answer = await context.owner.command(random.pick(context.nodes), "config/auth/update", on, 2_000);
    if (answer.kind === "answer" && answer.message.success === true) return;
    await waitOrStop(300, context.stopSignal);
  }
}

async function byCommandLine(context: RunContext, { user, session }: SessionClient): Promise<void> {
  const done = begin(context, "command line", { user, session });
  const { code } = await context.gatehouse(["revoke", "--session", session, "--json"]);
  done(code === 0 ? "ok" : "info");
}

function begin({ history }: RunContext, node: string, target: { user: string; session?: string }): Settle {
  return history.begin("revoker", { op: "revoke", node, target });
}

function settled(done: Settle, answer: Answer): void {
  done(answer.kind === "answer" && answer.message.success === true ? "ok" : "info");
}
