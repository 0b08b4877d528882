import type { Safeguard } from "../../src/auth/safeguards.ts";
import { askForAll } from "./actors/end-state.ts";
import { narrow } from "./actors/narrower.ts";
import { refreshAt } from "./actors/refresher.ts";
import type { Property } from "./checker.ts";
import { nodeAt, type Stage } from "./stage.ts";
import { enter, type Visit } from "./visit.ts";
import type { Shape } from "./world.ts";

/** A scripted scenario that goes wrong without one safeguard, and does not with it. */
export interface Control {
  readonly protection: Safeguard;
  /** The violation that the checker finds without it. */
  readonly finds: Property;
  readonly shape: Shape;
  /** The nodes are processes, which can be stopped and must survive unhandled errors. */
  readonly processes: boolean;
  readonly play: (stage: Stage) => Promise<void>;
}

/** A little longer than the bound. */
const pastBoundMs = 5_800;
const healMs = 3_000;

export const controls: readonly Control[] = [
  {
    protection: "lease",
    finds: "no use after revoke",
    shape: "standalone",
    processes: false,
    play: halfOpen,
  },
  {
    protection: "input_check",
    finds: "no use after revoke",
    shape: "standalone",
    processes: true,
    play: queuedWhileStopped,
  },
  {
    protection: "flush_check",
    finds: "no use after revoke",
    shape: "standalone",
    processes: true,
    play: answerWhileStopped,
  },
  {
    protection: "rollback_repair",
    finds: "no lost acknowledgement",
    shape: "standalone",
    processes: false,
    play: oldBackup,
  },
  {
    protection: "break_detection",
    finds: "no lost acknowledgement",
    shape: "standalone",
    processes: false,
    play: oldBackup,
  },
  {
    protection: "review",
    finds: "no use after revoke",
    shape: "standalone",
    processes: false,
    play: trimmedLog,
  },
  {
    protection: "heal_forward",
    finds: "no false cut",
    shape: "standalone",
    processes: false,
    play: rotatedSinceBackup,
  },
  {
    protection: "followed_server",
    finds: "no false cut",
    shape: "standalone",
    processes: false,
    play: serverWithoutData,
  },
  {
    protection: "sentinel_majority",
    finds: "no use after revoke",
    shape: "sentinel",
    processes: true,
    play: isolatedPrimary,
  },
  {
    protection: "entry_rights",
    finds: "no use of a lost right",
    shape: "standalone",
    processes: false,
    play: recordUnreadable,
  },
  { protection: "mac", finds: "no false cut", shape: "standalone", processes: false, play: forgedEntry },
];

/** The second node receives nothing any more, but its connections stay open. */
async function halfOpen(stage: Stage): Promise<void> {
  const { holding, visit } = await stage.logIn("anna", 1);
  const heal = await stage.world.inflict({ kind: "black_hole", node: 1, direction: "both" });
  await stage.revoke(holding, 0);
  await keepUsing(visit, pastBoundMs);
  await heal();
}

/**
 * The second node is stopped, and resumes with a command that arrived meanwhile. The check before sending would hold
 * back its answer, so the proof is that the command was carried out.
 */
async function queuedWhileStopped(stage: Stage): Promise<void> {
  const { holding, visit } = await stage.logIn("anna", 1);
  const subject = stage.person("dora");
  const resume = await stage.world.inflict({ kind: "pause", node: 1 });
  await stage.revoke(holding, 0);
  const change = { user_id: subject.id, name: "changed by a revoked user" };
  void visit.socket.request("config/auth/update", change);
  await wait(pastBoundMs);
  const { history } = stage.scene;
  const about = { ...holding.subject, node: visit.node, socket: "queued" };
  const done = history.begin("holders", { op: "use", what: "config/auth/update", ...about });
  await resume();
  await wait(healMs);
  const listed = await stage.scene.owner.command(nodeAt(stage.scene, 0), "config/auth/list", {});
  done(JSON.stringify(listed).includes(change.name) ? "ok" : "fail");
}

/**
 * The second node is stopped while it waits for the store. On resuming, it reads the store's answer before the log's
 * entry.
 */
async function answerWhileStopped(stage: Stage): Promise<void> {
  const { holding, visit } = await stage.logIn("anna", 1);
  await stage.world.inflict({ kind: "delay", node: 1, ms: 300 });
  visit.use("auth/refresh_tokens");
  await wait(150);
  const resume = await stage.world.inflict({ kind: "pause", node: 1 });
  await wait(1_000);
  const heal = await stage.world.inflict({ kind: "black_hole", node: 1, direction: "both" });
  await stage.revoke(holding, 0);
  await wait(pastBoundMs);
  await resume();
  await wait(1_000);
  await heal();
}

/** The store's content is reset to what it was before an acknowledged revoke. */
async function oldBackup(stage: Stage): Promise<void> {
  const { holding, visit } = await stage.logIn("anna", 1);
  const restore = await stage.world.inflict({ kind: "rollback" });
  await stage.revoke(holding, 0);
  await visit.socket.closed;
  await forget(stage, restore);
  await askInTheEnd(stage);
}

/** The second node reconnects to a log that was trimmed past its position. */
async function trimmedLog(stage: Stage): Promise<void> {
  const { holding, visit } = await stage.logIn("anna", 1);
  // Not a black hole: that one delivers what it held back when it ends.
  const heal = await stage.world.inflict({ kind: "refuse", node: 1 });
  await stage.revoke(holding, 0);
  await stage.world.store.servers[0]?.command("XTRIM", "gatehouse:{gh}:log", "MAXLEN", "0");
  await wait(1_000);
  await heal();
  await keepUsing(visit, pastBoundMs);
}

/** The second node can read everything but the record of the user who becomes local-only. */
async function recordUnreadable(stage: Stage): Promise<void> {
  const { scene } = stage;
  const { holding } = await stage.logIn("anna", 1);
  const [token = ""] = holding.accessTokens;
  const visit = await enter(scene, nodeAt(scene, 1), holding, { actor: "visitors", token, remote: true });
  if (visit === undefined) throw new Error("no socket from the remote address was accepted");
  const fault = { kind: "unreadable", node: 1, record: `user:${holding.user}` } as const;
  const heal = await stage.world.inflict(fault);
  if (!(await narrow(scene, nodeAt(scene, 0), stage.person("anna"), "remote")))
    throw new Error("the change was not acknowledged");
  await keepUsing(visit, pastBoundMs, "auth/refresh_tokens");
  await heal();
}

/** A client that rotated its token after the backup was made is not a thief. */
async function rotatedSinceBackup(stage: Stage): Promise<void> {
  const { holding } = await stage.logIn("dora", 0);
  const node = nodeAt(stage.scene, 0);
  const restore = await stage.world.inflict({ kind: "rollback" });
  for (let times = 0; times < 3; times += 1) await refreshAt(stage.scene, "refreshers", node, holding);
  await forget(stage, restore);
  await askInTheEnd(stage);
}

/** While its lease lasts, the second node is led to a server that lacks the session, and must look it up there. */
async function serverWithoutData(stage: Stage): Promise<void> {
  const { scene } = stage;
  const { holding } = await stage.logIn("dora", 1);
  const node = nodeAt(scene, 1);
  const [token = ""] = holding.accessTokens;
  // The user has changed since, so the session is looked up.
  await scene.owner.command(node, "config/auth/update", { user_id: holding.user, name: "Dora D." });
  const heal = await stage.world.inflict({ kind: "wrong_server", node: 1 });
  const until = performance.now() + 2_500;
  while (performance.now() < until) {
    const visit = await enter(scene, node, holding, { actor: "visitors", token });
    visit?.socket.drop();
    await wait(20);
  }
  await heal();
  await askInTheEnd(stage);
}

/** Nodes stay with a primary that everybody else has left, and that still accepts their writes. */
async function isolatedPrimary(stage: Stage): Promise<void> {
  const { holding, visit } = await stage.logIn("anna", 1);
  await stage.world.inflict({ kind: "isolated_primary" });
  const [, promoted] = stage.world.store.servers;
  const { subject, session } = holding;
  const revoke = { op: "revoke", node: "command line", target: subject } as const;
  const done = stage.scene.history.begin("revoker", revoke);
  const ended = await stage.world.gatehouse(["revoke", "--session", session], promoted?.url);
  done(ended.code === 0 ? "ok" : "info");
  if (ended.code !== 0) throw new Error(ended.stderr);
  await keepUsing(visit, pastBoundMs);
}

/** An attacker can write to the store but does not know the installation's secret, and tries to end a session. */
async function forgedEntry(stage: Stage): Promise<void> {
  const { holding, visit } = await stage.logIn("dora", 1);
  const event = {
    type: "sessions_revoked",
    userId: holding.user,
    sessionIds: [holding.session],
    cause: "session_revoked",
    revocationId: "0".repeat(32),
  };
  const version = String(Date.now() * 1_000 + 60_000_000);
  const fields = ["*", "v", version, "e", JSON.stringify(event)];
  await stage.world.store.servers[0]?.command("XADD", "gatehouse:{gh}:log", ...fields);
  await keepUsing(visit, 1_500);
}

async function forget({ scene }: Stage, restore: () => Promise<{ readonly forgotSince?: number }>) {
  const { forgotSince } = await restore();
  if (forgotSince !== undefined) scene.history.tell("faults", { op: "loss", since: forgotSince });
}

async function askInTheEnd({ scene }: Stage): Promise<void> {
  await wait(healMs);
  scene.history.tell("faults", { op: "mark", name: "quiet" });
  await askForAll(scene);
}

async function keepUsing(visit: Visit, ms: number, what = "auth/current_user"): Promise<void> {
  const until = performance.now() + ms;
  while (visit.socket.isOpen && performance.now() < until) {
    visit.use(what);
    await wait(50);
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
