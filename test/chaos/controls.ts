import { systemGroups } from "../../src/auth/model.ts";
import type { Safeguard } from "../../src/auth/safeguards.ts";
import { askEndState } from "./actors/end-state.ts";
import { refreshAt } from "./actors/refresher.ts";
import { removeRight } from "./actors/right-remover.ts";
import { openReader, publishRepeatedly, takeTopicRight } from "./actors/topic-reader.ts";
import type { Property } from "./checker.ts";
import type { Shape } from "./deployment.ts";
import { type DirectedRun, nodeAt } from "./directed-run.ts";
import { authenticate, type RecordedSocket } from "./recorded-socket.ts";

/** A scripted scenario that goes wrong without one safeguard, and does not with it. */
export interface Control {
  readonly protection: Safeguard;
  /** What else has to be off, because it hides the violation for as long as a node remembers the revocation. */
  readonly besides?: readonly Safeguard[];
  /** The violation that the checker finds without it. */
  readonly finds: Property;
  readonly shape: Shape;
  /** The nodes are processes, which can be stopped and must survive unhandled errors. */
  readonly processes: boolean;
  readonly play: (run: DirectedRun) => Promise<void>;
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
    besides: ["known_revocation"],
    finds: "no lost acknowledgement",
    shape: "standalone",
    processes: false,
    play: oldBackup,
  },
  {
    protection: "break_detection",
    besides: ["known_revocation"],
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
    finds: "no false logout",
    shape: "standalone",
    processes: false,
    play: rotatedSinceBackup,
  },
  {
    protection: "followed_server",
    finds: "no false logout",
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
  {
    protection: "topic_rights",
    finds: "no use of a lost right",
    shape: "standalone",
    processes: false,
    play: topicsAfterTheRight,
  },
  { protection: "mac", finds: "no false logout", shape: "standalone", processes: false, play: forgedEntry },
];

/** The second node receives nothing any more, but its connections stay open. */
async function halfOpen(run: DirectedRun): Promise<void> {
  const { client, recorded } = await run.logIn("anna", 1);
  const heal = await run.deployment.injectFault({ kind: "black_hole", node: 1, direction: "both" });
  await run.revoke(client, 0);
  await keepUsing(recorded, pastBoundMs);
  await heal();
}

/**
 * The second node is stopped, and resumes with a command that arrived meanwhile. The check before sending would hold
 * back its answer, so the proof is that the command was carried out. It is one that does not ask again, before it commits,
 * whether its sender may still send it.
 */
async function queuedWhileStopped(run: DirectedRun): Promise<void> {
  const { client, recorded } = await run.logIn("anna", 1);
  const resume = await run.deployment.injectFault({ kind: "pause", node: 1 });
  // The node waits for the next entry of the log. If that were the revocation, it would be read before the command.
  const earlier = { user_id: run.person("dora").id, name: "changed while the node is stopped" };
  await run.context.owner.command(nodeAt(run.context, 0), "config/auth/update", earlier);
  await run.revoke(client, 0);
  const type = "gatehouse/mfa/demands/set";
  void recorded.socket.request(type, { group_id: systemGroups.readOnly, demanded: true });
  await wait(pastBoundMs);
  const { history } = run.context;
  const about = { ...client.subject, node: recorded.node, socket: "queued" };
  const done = history.begin("holders", { op: "use", what: type, ...about });
  await resume();
  await wait(healMs);
  const listed = await run.context.owner.command(nodeAt(run.context, 0), "gatehouse/mfa/demands/list", {});
  done(JSON.stringify(listed).includes(systemGroups.readOnly) ? "ok" : "fail");
}

/**
 * The second node is stopped while it waits for the store. On resuming, it reads the store's answer before the log's
 * entry.
 */
async function answerWhileStopped(run: DirectedRun): Promise<void> {
  const { client, recorded } = await run.logIn("anna", 1);
  await run.deployment.injectFault({ kind: "delay", node: 1, ms: 300 });
  recorded.use("auth/refresh_tokens");
  await wait(150);
  const resume = await run.deployment.injectFault({ kind: "pause", node: 1 });
  await wait(1_000);
  const heal = await run.deployment.injectFault({ kind: "black_hole", node: 1, direction: "both" });
  await run.revoke(client, 0);
  await wait(pastBoundMs);
  await resume();
  await wait(1_000);
  await heal();
}

/** The store's content is reset to what it was before an acknowledged revoke. */
async function oldBackup(run: DirectedRun): Promise<void> {
  const { client, recorded } = await run.logIn("anna", 1);
  const restore = await run.deployment.injectFault({ kind: "rollback" });
  await run.revoke(client, 0);
  await recorded.socket.closed;
  await forget(run, restore);
  await askInTheEnd(run);
}

/** The second node reconnects to a log that was trimmed past its position. */
async function trimmedLog(run: DirectedRun): Promise<void> {
  const { client, recorded } = await run.logIn("anna", 1);
  // Not a black hole: that one delivers what it held back when it ends.
  const heal = await run.deployment.injectFault({ kind: "refuse", node: 1 });
  await run.revoke(client, 0);
  await run.deployment.store.servers[0]?.command("XTRIM", "gatehouse:{gh}:log", "MAXLEN", "0");
  await wait(1_000);
  await heal();
  await keepUsing(recorded, pastBoundMs);
}

/** The second node can read everything but the record of the user who becomes local-only. */
async function recordUnreadable(run: DirectedRun): Promise<void> {
  const { context } = run;
  const { client } = await run.logIn("anna", 1);
  const [token = ""] = client.accessTokens;
  const recorded = await authenticate(context, nodeAt(context, 1), client, {
    actor: "visitors",
    token,
    remote: true,
  });
  if (recorded === undefined) throw new Error("no socket from the remote address was accepted");
  const fault = { kind: "unreadable", node: 1, record: `user:${client.user}` } as const;
  const heal = await run.deployment.injectFault(fault);
  const removed = () => removeRight(context, nodeAt(context, 0), run.person("anna"), "remote");
  // A busy machine may not answer in the time of one call. A second change to the same rights is none.
  for (let tries = 1; !(await removed()); tries += 1)
    if (tries === 20) throw new Error("the change was not acknowledged");
  await keepUsing(recorded, pastBoundMs, "auth/refresh_tokens");
  await heal();
}

/** A client that rotated its token after the backup was made is not a thief. */
async function rotatedSinceBackup(run: DirectedRun): Promise<void> {
  const { client } = await run.logIn("dora", 0);
  const node = nodeAt(run.context, 0);
  const restore = await run.deployment.injectFault({ kind: "rollback" });
  for (let times = 0; times < 3; times += 1) await refreshAt(run.context, "refreshers", node, client);
  await forget(run, restore);
  await askInTheEnd(run);
}

/** While its lease lasts, the second node is led to a server that lacks the session, and must look it up there. */
async function serverWithoutData(run: DirectedRun): Promise<void> {
  const { context } = run;
  const { client } = await run.logIn("dora", 1);
  const node = nodeAt(context, 1);
  const [token = ""] = client.accessTokens;
  // The user has changed since, so the session is looked up.
  await context.owner.command(node, "config/auth/update", { user_id: client.user, name: "Dora D." });
  const heal = await run.deployment.injectFault({ kind: "wrong_server", node: 1 });
  const until = performance.now() + 2_500;
  while (performance.now() < until) {
    const recorded = await authenticate(context, node, client, { actor: "visitors", token });
    recorded?.socket.drop();
    await wait(20);
  }
  await heal();
  await askInTheEnd(run);
}

/** Nodes stay with a primary that everybody else has left, and that still accepts their writes. */
async function isolatedPrimary(run: DirectedRun): Promise<void> {
  const { client, recorded } = await run.logIn("anna", 1);
  await run.deployment.injectFault({ kind: "isolated_primary" });
  const [, promoted] = run.deployment.store.servers;
  const { subject, session } = client;
  const revoke = { op: "revoke", node: "command line", target: subject } as const;
  const done = run.context.history.begin("revoker", revoke);
  const ended = await run.deployment.gatehouse(["revoke", "--session", session], promoted?.url);
  done(ended.code === 0 ? "ok" : "info");
  if (ended.code !== 0) throw new Error(ended.stderr);
  await keepUsing(recorded, pastBoundMs);
}

/**
 * Messages flow at both nodes while the group of their reader loses its right, and the second node can neither read the log
 * nor write to it. After the fault its sockets go on, and so do the messages.
 */
async function topicsAfterTheRight({ context, deployment }: DirectedRun): Promise<void> {
  const stop = new AbortController();
  const running = { ...context, stopSignal: stop.signal };
  const publishing = publishRepeatedly(running);
  const readers = await Promise.all(context.nodes.map((node) => openReader(running, node)));
  if (readers.includes(undefined)) throw new Error("a reader could not subscribe");
  await wait(500);
  const heal = await deployment.injectFault({ kind: "black_hole", node: 1, direction: "both" });
  for (let tries = 1; !(await takeTopicRight(running, nodeAt(context, 0))); tries += 1)
    if (tries === 20) throw new Error("the change was not acknowledged");
  await wait(pastBoundMs);
  await heal();
  await wait(healMs);
  stop.abort();
  await publishing;
}

/** An attacker can write to the store but does not know the installation's secret, and tries to end a session. */
async function forgedEntry(run: DirectedRun): Promise<void> {
  const { client, recorded } = await run.logIn("dora", 1);
  const event = {
    type: "sessions_revoked",
    userId: client.user,
    sessionIds: [client.session],
    cause: "session_revoked",
    revocationId: "0".repeat(32),
  };
  const version = String(Date.now() * 1_000 + 60_000_000);
  const fields = ["*", "v", version, "e", JSON.stringify(event)];
  await run.deployment.store.servers[0]?.command("XADD", "gatehouse:{gh}:log", ...fields);
  // A busy node may read it late.
  await keepUsing(recorded, 10_000);
}

async function forget({ context }: DirectedRun, restore: () => Promise<{ readonly forgotSince?: number }>) {
  const { forgotSince } = await restore();
  if (forgotSince !== undefined) context.history.tell("faults", { op: "loss", since: forgotSince });
}

async function askInTheEnd({ context }: DirectedRun): Promise<void> {
  await wait(healMs);
  context.history.tell("faults", { op: "mark", name: "quiet" });
  await askEndState(context);
}

async function keepUsing(recorded: RecordedSocket, ms: number, what = "auth/current_user"): Promise<void> {
  const until = performance.now() + ms;
  while (recorded.socket.isOpen && performance.now() < until) {
    recorded.use(what);
    await wait(50);
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
