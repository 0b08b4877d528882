import { realpathSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import type { RecordKey } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { storeFileName } from "../../src/store/embedded/files.ts";
import { processNode } from "../chaos/chaos-node.ts";
import { ChaosSocket } from "../chaos/chaos-socket.ts";
import { Owner } from "../chaos/owner.ts";
import { logInOn } from "../chaos/password-login.ts";
import { startProcess, type TestProcess } from "../support/child-process.ts";
import { eventually } from "../support/eventually.ts";
import { type DiskWord, makeFailingDisk } from "../support/failing-disk.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { wait } from "./timed-socket.ts";

const committing = new URL("../store/committing-process.ts", import.meta.url);
const words: readonly DiskWord[] = ["full", "write-short", "sync-eio", "write-eio", "write-enospc"];
/**
 * Faults that lmdb-js (3.5.6) may not survive if they begin in the middle of a transaction, which is nearly always the
 * case for a process that only commits: see src/store/embedded/disk.ts.
 */
const mortal: readonly DiskWord[] = ["write-eio", "write-enospc"];
/** Number of refusals for which a fault lasts. The process has 8 attempts in progress and waits 50 ms after each. */
const refusals = 40;
const times = 3;

describe.concurrent("the disk under the embedded store", () => {
  it.for(words)(
    "%s: nothing is acknowledged that is not kept, and it recovers by itself when the disk does",
    async (word, { onTestFinished }) => {
      const folder = temporaryFolder();
      onTestFinished(() => folder.remove());
      const disk = await makeFailingDisk(path.join(realpathSync(folder.path), storeFileName));
      onTestFinished(() => disk.dispose());
      const service = runAgainAndAgain(folder.path, disk.env);
      onTestFinished(() => service.stop());

      await eventually("it to hold", async () => service.outcomes().ok.length > 50);
      for (let time = 0; time < times; time += 1) {
        disk.say(word);
        await service.refuses(refusals);
        const acknowledged = service.outcomes().ok.length;
        await service.refuses(refusals);
        expect(service.outcomes().ok.length).toBe(acknowledged);
        disk.say("well");
        await eventually("it to hold", async () => service.outcomes().ok.length > acknowledged + 100);
      }
      await service.stop();
      expect(new Set(service.outcomes().failed)).toEqual(new Set(["unavailable"]));
      if (!mortal.includes(word)) expect(service.ends).toEqual([]);

      const store = await openEmbeddedStore({ folder: folder.path, role: "gateway" });
      onTestFinished(() => store.close());
      const { ok } = service.outcomes();
      const kept = await store.get(ok.map((n) => `acked:${n}` as RecordKey));
      expect(kept.filter((record) => record === undefined)).toHaveLength(0);
    },
  );

  it("a gateway on it refuses logins retryably, serves open sockets, and accepts logins again when the disk recovers", async ({
    onTestFinished,
  }) => {
    const folder = temporaryFolder();
    const disk = await makeFailingDisk(path.join(realpathSync(folder.path), storeFileName));
    const { path: data } = folder;
    const node = processNode({ name: "n0", store: null, data, storeTimeoutMs: 1_000, env: disk.env });
    onTestFinished(async () => {
      await node.dispose();
      disk.dispose();
      folder.remove();
    });
    await node.start();
    const { port } = node;
    const owner = await Owner.create(node, node.setupCode ?? "");
    onTestFinished(() => owner.end());
    const anna = {
      username: "anna",
      password: "a long password of anna",
      isAdmin: false,
      neverRevoked: false,
    };
    const person = await owner.addPerson(node, anna);
    const inside = await ChaosSocket.open(port);
    if (inside === undefined) throw new Error("no socket");
    onTestFinished(() => inside.drop());
    await logInOn(inside, person);

    for (const word of words) {
      // Nobody writes when it begins, and the last check of the disk is too old to be reused.
      await wait(100);
      disk.say(word);
      const socket = await ChaosSocket.open(port);
      expect(await socket?.request("auth/login/start", { handler: ["homeassistant", null] })).toMatchObject({
        message: { error: { code: "unavailable", retry_after: expect.any(Number) } },
      });
      socket?.drop();
      expect(await inside.request("auth/current_user")).toMatchObject({ message: { success: true } });
      disk.say("well");
      await eventually("it to hold", async () => {
        const next = await ChaosSocket.open(port);
        const grant = next && (await logInOn<object>(next, person));
        next?.drop();
        return typeof grant === "object";
      });
    }
    // It is still the same process.
    expect(inside.isOpen).toBe(true);
  });

  it("a gateway on a nearly full disk refuses what is new, and still revokes", async ({ onTestFinished }) => {
    const folder = temporaryFolder();
    const disk = await makeFailingDisk(path.join(realpathSync(folder.path), storeFileName));
    const { path: data } = folder;
    const node = processNode({ name: "n0", store: null, data, storeTimeoutMs: 1_000, env: disk.env });
    onTestFinished(async () => {
      await node.dispose();
      disk.dispose();
      folder.remove();
    });
    await node.start();
    const owner = await Owner.create(node, node.setupCode ?? "");
    onTestFinished(() => owner.end());
    const insiders: { readonly id: string; readonly socket: ChaosSocket }[] = [];
    for (const username of ["anna", "berta", "clara"]) {
      const about = {
        username,
        password: `a long password of ${username}`,
        isAdmin: false,
        neverRevoked: false,
      };
      const person = await owner.addPerson(node, about);
      const socket = await ChaosSocket.open(node.port);
      if (socket === undefined) throw new Error("no socket");
      onTestFinished(() => socket.drop());
      await logInOn(socket, person);
      insiders.push({ id: person.id, socket });
    }
    await wait(100);
    disk.say("tight");
    const stranger = await ChaosSocket.open(node.port);
    expect(await stranger?.request("auth/login/start", { handler: ["homeassistant", null] })).toMatchObject({
      message: { error: { code: "unavailable" } },
    });
    stranger?.drop();
    const [anna, berta, clara] = insiders;
    const done = { kind: "answer", message: { success: true } };
    expect(await owner.command(node, "gatehouse/revoke", { target: { user_id: anna?.id } })).toMatchObject(
      done,
    );
    expect(await anna?.socket.closed).toBe(closeCodes.session_revoked.number);
    expect(await owner.command(node, "config/auth/delete", { user_id: berta?.id })).toMatchObject(done);
    expect(await berta?.socket.closed).toBe(closeCodes.user_removed.number);
    expect(clara?.socket.isOpen).toBe(true);
    disk.say("full");
    await wait(100);
    expect(await owner.command(node, "gatehouse/revoke", { target: { user_id: clara?.id } })).toMatchObject({
      message: { error: { code: "unavailable" } },
    });
  });
});

/** The committing process, restarted when it ends, as by a service manager. */
function runAgainAndAgain(folder: string, env: Readonly<Record<string, string>>) {
  const runs: TestProcess[] = [];
  const ends: (number | NodeJS.Signals)[] = [];
  let stopped = false;
  const lines = () => runs.flatMap((run) => run.lines);
  const after = (word: string) =>
    lines().flatMap((line) => (line.startsWith(`${word} `) ? [line.split(" ")[1]] : []));
  const work = async () => {
    while (!stopped) {
      const args = [folder, String(runs.length * 1_000_000)];
      const run = startProcess({ script: committing, args, env });
      runs.push(run);
      const end = await run.exited;
      if (!stopped) ends.push(end);
    }
  };
  const working = work();
  return {
    ends,
    outcomes: () => ({ ok: after("ok"), failed: after("failed") }),
    /** Until this many more were refused, or the process has ended, which also acknowledges nothing. */
    async refuses(count: number) {
      const [refused, ended] = [after("failed").length, ends.length];
      await eventually(
        "it to hold",
        async () => after("failed").length >= refused + count || ends.length > ended,
      );
    },
    async stop() {
      stopped = true;
      runs.at(-1)?.kill("SIGKILL");
      await working;
    },
  };
}
