import { createHash } from "node:crypto";
import { expect } from "vitest";
import { SharedFrames } from "../../src/connection/shared-frames.ts";
import type { FrameClient } from "../support/frame-client.ts";
import type { Accepted, Fact, Rig } from "./transport-rig.ts";

/** Deterministic sizes around everything that buffers: headers, cork buffers, segments, high-water marks. */
const sizes = [1, 60_000, 125, 126, 16_000, 16_384, 65_535, 65_536, 3, 30_000, 0, 200_000];
const COUNT = 240;

function frameAt(index: number): Uint8Array {
  return new Uint8Array(sizes[index % sizes.length] ?? 0).fill(index & 0xff);
}

/** Sends frames 0..COUNT-1, stopping at "queued" and going on when `next` is called. */
class Pump {
  #sent = 0;
  #held = false;
  readonly #server: Accepted;

  constructor(server: Accepted) {
    this.#server = server;
  }

  next = (): void => {
    this.#held = false;
    while (this.#sent < COUNT && !this.#held) {
      const result = this.#server.socket.send(frameAt(this.#sent));
      expect(result).not.toBe("dropped");
      this.#sent += 1;
      this.#held = result === "queued";
    }
  };
}

async function receivesAll(client: FrameClient): Promise<void> {
  const digest = createHash("sha1");
  const expected = createHash("sha1");
  for (let i = 0; i < COUNT; i += 1) {
    digest.update(await client.frames.next());
    expected.update(frameAt(i));
  }
  expect(digest.digest("hex")).toBe(expected.digest("hex"));
}

const goingOn: Readonly<Record<string, (go: () => void) => void>> = {
  "inside drained": (go) => go(),
  "a microtask": (go) => queueMicrotask(go),
  "a promise": (go) => void Promise.resolve().then(go),
  "the next tick": (go) => process.nextTick(go),
  "the next turn": (go) => void setImmediate(go),
  "a timer": (go) => void setTimeout(go, 1),
};

async function twoSlowSockets(rig: Rig, goOn: (go: () => void) => void): Promise<void> {
  const pumps = new Map<Accepted, Pump>();
  const gate = await rig.start({
    react: { drained: (accepted) => goOn(() => pumps.get(accepted)?.next()) },
  });
  const clients = [await rig.connect(gate), await rig.connect(gate)];
  for (const client of clients) {
    client.pause();
    const server = await gate.sockets.next();
    const pump = new Pump(server);
    pumps.set(server, pump);
    pump.next();
    expect(server.socket.bufferedBytes).toBeGreaterThan(0);
  }
  for (const client of clients.toReversed()) client.resume();
  await Promise.all(clients.map(receivesAll));
}

export function flowFacts(fact: Fact): void {
  for (const [where, goOn] of Object.entries(goingOn)) {
    fact(`two slow sockets drain independently, going on from ${where}`, (rig) => twoSlowSockets(rig, goOn));
  }

  fact(
    "answers queued to a client that does not read, loses nothing, and says when there is room",
    async (rig) => {
      const { client, server } = await rig.pair();
      client.pause();
      let count = 0;
      // The kernel may go on taking bytes for a while after the first answer of "queued".
      for (let after = 0; after < 20 || server.socket.bufferedBytes <= 500_000; count += 1) {
        const result = server.socket.send(frameAt(count));
        expect(result).not.toBe("dropped");
        // After "queued", "sent" says that this frame took the whole queue along.
        if (result === "sent" && after > 0) expect(server.socket.bufferedBytes).toBe(0);
        after = result === "queued" ? after + 1 : 0;
      }
      expect(server.drains.waiting).toEqual([]);
      client.resume();
      for (let i = 0; i < count; i += 1) expect(await client.frames.next()).toHaveLength(frameAt(i).length);
      await server.drains.next();
      expect(server.drains.waiting).toEqual([]);
      expect(server.socket.bufferedBytes).toBe(0);
      expect(server.socket.send("room")).toBe("sent");
    },
  );

  fact(
    "sends shared frames to each socket as frames of their own, in order, and says when it is full",
    async (rig) => {
      const gate = await rig.start();
      const clients = [await rig.connect(gate), await rig.connect(gate)];
      const servers = [await gate.sockets.next(), await gate.sockets.next()];
      const shared = new SharedFrames(["ä", ...sizes.slice(0, 11).map((_, index) => frameAt(index))]);
      const last = new SharedFrames(["last"]);
      for (const { socket } of servers) {
        socket.send("first");
        expect(["sent", "queued"]).toContain(socket.sendShared(shared));
        socket.sendShared(last);
      }
      for (const client of clients) {
        const heard: unknown[] = [];
        for (let at = 0; at < 14; at += 1) heard.push(await client.frames.next());
        const sent = ["first", ...shared.frames, "last"];
        expect(
          heard.map((each) => (typeof each === "string" ? each : Buffer.from(each as Uint8Array))),
        ).toEqual(sent.map((each) => (typeof each === "string" ? each : Buffer.from(each))));
      }
      const [client] = clients;
      const [server] = servers;
      client?.pause();
      while (server?.socket.sendShared(new SharedFrames([new Uint8Array(60_000), "x"])) !== "queued");
      while (server.drains.waiting.length > 0) await server.drains.next();
      client?.resume();
      await server.drains.next();
      server.socket.terminate();
      expect(server.socket.sendShared(shared)).toBe("dropped");
    },
  );

  fact("goes on from inside message while the client reads slowly", async (rig) => {
    let sent = 0;
    const { client } = await rig.pair({
      react: {
        message: ({ socket }) => {
          for (const end = sent + 30; sent < end; sent += 1) socket.send(frameAt(sent));
        },
      },
    });
    for (let round = 0; round < COUNT / 30; round += 1) {
      client.pause();
      client.send("more");
      await new Promise((resolve) => setTimeout(resolve, 5));
      client.resume();
    }
    await receivesAll(client);
  });

  fact("tells no drain after the end", async (rig) => {
    let drainsAtEnd = -1;
    const { client, server } = await rig.pair({
      react: {
        closed: ({ drains }) => {
          drainsAtEnd = drains.waiting.length;
        },
      },
    });
    client.pause();
    while (server.socket.send(new Uint8Array(60_000)) !== "queued");
    client.terminate();
    await server.endings.next();
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(server.drains.waiting).toHaveLength(drainsAtEnd);
    expect(server.socket.bufferedBytes).toBe(0);
  });
}
