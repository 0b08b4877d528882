import type { Safeguard } from "../../../../src/auth/safeguards.ts";
import type { Step } from "../../../../src/auth/store.ts";
import { openEmbeddedStore } from "../../../../src/store/embedded/embedded-store.ts";
import { StoreFile } from "../../../../src/store/embedded/store-file.ts";
import type { Tables } from "../../../../src/store/embedded/tables.ts";
import { openRedisStore } from "../../../../src/store/redis/redis-store.ts";
import { eventually } from "../../../support/eventually.ts";
import { type InterposedStore, interposed } from "../../../support/interposed-store.ts";
import { startRedis } from "../../../support/redis-server.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";
import { type HandNode, startHandNode } from "../lease-rig.ts";

export interface RollbackNode extends HandNode {
  readonly store: InterposedStore;
}

/** A store that goes back in time while nodes run on it. */
export interface RollbackRig {
  start(...disabledSafeguards: readonly Safeguard[]): Promise<RollbackNode>;
  /** `rewind` loses everything after this call, like a failover to a replica that was behind, or an old backup. */
  remember(): Promise<void>;
  rewind(): Promise<void>;
  dispose(): Promise<void>;
}

/** What writes remembered revocations again. */
export const raisesAgain = (step: Step) => (step.raiseEpochsTo?.length ?? 0) > 0;

/** Rewinds, and waits until the nodes have noticed, have written again what they remember, and are trusted again. */
export async function goBack(rig: RollbackRig, ...nodes: readonly HandNode[]): Promise<void> {
  const before = nodes.map(({ reported }) => reported.length);
  await rig.rewind();
  // The nodes notice by an acknowledged write that is not in the log any more, or by the next heartbeat.
  await eventually("the break", async () => {
    for (const node of nodes) await node.beat();
    return nodes.every(({ reported }, place) => reported.slice(before[place]).includes("lost"));
  });
  await Promise.all(nodes.map((node) => node.beatUntilTrusted()));
}

export async function redisRig(): Promise<RollbackRig> {
  const redis = await startRedis();
  const nodes: HandNode[] = [];
  return {
    async start(...disabledSafeguards) {
      const store = interposed(await openRedisStore({ url: redis.url, timeoutMs: 5_000 }));
      const node = await startHandNode({ url: store, disabledSafeguards: new Set(disabledSafeguards) });
      nodes.push(node);
      await node.beatUntilTrusted();
      return { ...node, store };
    },
    async remember() {
      await redis.command("SAVE");
    },
    async rewind() {
      await redis.kill();
      await redis.restart();
    },
    async dispose() {
      for (const node of nodes) await node.stop();
      await redis.dispose();
    },
  };
}

/** One process has the file open, so there is one node. */
export async function embeddedRig(): Promise<RollbackRig> {
  const folder = temporaryFolder();
  let node: HandNode | undefined;
  let before: Content | undefined;
  const file = async <T>(work: (tables: Tables) => T): Promise<T> => {
    const opened = await StoreFile.open(folder.path);
    const result = await opened.transact(work);
    await opened.close();
    return result;
  };
  return {
    async start(...disabledSafeguards) {
      const opened = await openEmbeddedStore({ folder: folder.path, role: "gateway", timeoutMs: 5_000 });
      const store = interposed(opened);
      const started = await startHandNode({ url: store, disabledSafeguards: new Set(disabledSafeguards) });
      node = started;
      await started.beatUntilTrusted();
      return { ...started, store };
    },
    async remember() {
      before = await file(contentOf);
    },
    async rewind() {
      const content = before;
      if (content !== undefined) await file((tables) => replace(tables, content));
    },
    async dispose() {
      await node?.stop();
      folder.remove();
    },
  };
}

const names = ["records", "members", "log", "expiry", "state"] as const;
type Content = Readonly<Record<(typeof names)[number], readonly (readonly [key: Buffer, value: string])[]>>;

function contentOf(tables: Tables): Content {
  const entries = names.map((name) => [
    name,
    [...tables[name].getRange()].map(({ key, value }) => [Buffer.from(key), value] as const),
  ]);
  return Object.fromEntries(entries) as Content;
}

function replace(tables: Tables, content: Content): void {
  for (const name of names) {
    for (const key of [...tables[name].getKeys()].map((bytes) => Buffer.from(bytes)))
      tables[name].removeSync(key);
    for (const [key, value] of content[name]) tables[name].putSync(key, value);
  }
}
