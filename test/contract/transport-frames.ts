import { expect } from "vitest";
import { collectGarbage } from "../support/garbage.ts";
import { ask } from "../support/raw-http.ts";
import { closeFrame, frame, RawSocket, upgradeText } from "../support/raw-socket.ts";
import { within } from "../support/within.ts";
import { type Fact, maxMessageBytes, type Rig, socketPath } from "./transport-rig.ts";

const TEXT = 0x81;
const BINARY = 0x82;
const TEXT_PART = 0x01;
const PART = 0x00;
const LAST = 0x80;
const PING = 0x89;
const PONG = 0x8a;

/** RFC 6455 sections 5.2 to 5.5, 7.4, 8.1: what no client may send, and the close code that says so. */
const broken: readonly (readonly [string, Buffer, number])[] = [
  ["RSV1, a compressed frame", frame(0xc1, "a"), 1002],
  ["RSV2", frame(0xa1, "a"), 1002],
  ["RSV3", frame(0x91, "a"), 1002],
  ["RSV1 on a control frame", frame(0xc9, "a"), 1002],
  ["reserved opcode 3", frame(0x83, "a"), 1002],
  ["reserved opcode 7", frame(0x87, "a"), 1002],
  ["reserved opcode 11", frame(0x8b, "a"), 1002],
  ["reserved opcode 15", frame(0x8f, "a"), 1002],
  ["a ping of 126 bytes", frame(PING, "x".repeat(126)), 1002],
  ["a fragmented ping", frame(0x09, "a"), 1002],
  ["a fragmented close", frame(0x08, ""), 1002],
  ["a continuation of nothing", frame(LAST, "a"), 1002],
  ["a new message inside a message", Buffer.concat([frame(TEXT_PART, "a"), frame(TEXT, "b")]), 1002],
  ["text that is not UTF-8", frame(TEXT, "\xff\xfe"), 1007],
  ["text cut inside a character", frame(TEXT, "\xe2\x82"), 1007],
  ["an overlong character", frame(TEXT, "\xc0\xaf"), 1007],
  ["a surrogate in UTF-8", frame(TEXT, "\xed\xa0\x80"), 1007],
  [
    "fragments that are not UTF-8 together",
    Buffer.concat([frame(TEXT_PART, "\xe2"), frame(LAST, "x")]),
    1007,
  ],
  ["one frame far over the limit", frame(BINARY, "", { length: 2 ** 40 }), 1009],
  ["a length of 2^63", frame(BINARY, "", { length: 2 ** 63 }), 1009],
];

const badCloses: readonly (readonly [string, Buffer, number])[] = [
  ["a close of one byte", frame(0x88, "a"), 1002],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535].map(
    (code) => [`close code ${code}`, closeFrame(code), 1002] as const,
  ),
  ["a close reason that is not UTF-8", closeFrame(1000, "\xff"), 1007],
];

async function refusesFrame(rig: Rig, bytes: Buffer, code: number): Promise<void> {
  const gate = await rig.start();
  const raw = await RawSocket.upgrade(gate.at, socketPath);
  const server = await gate.sockets.next();
  raw.write(Buffer.concat([bytes, frame(TEXT, "after")]));
  if (rig.capabilities.explainsBrokenFrames) {
    const answer = await raw.frame();
    expect(answer?.head).toBe(0x88);
    expect(answer?.payload.readUInt16BE(0)).toBe(code);
  }
  await raw.end();
  raw.destroy();
  const ending = await server.endings.next();
  expect([code, 1006]).toContain(ending.code);
  if (rig.capabilities.explainsBrokenFrames) expect(ending.code).toBe(code);
  expect(server.messages.waiting).toEqual([]);
  expect(server.endings.waiting).toEqual([]);
}

export function frameFacts(fact: Fact): void {
  for (const [what, bytes, code] of broken)
    fact(`refuses ${what} with ${code}`, (rig) => refusesFrame(rig, bytes, code));

  fact("refuses an unmasked frame with 1002", (rig) =>
    refusesFrame(rig, frame(TEXT, "0123456789", { masked: false }), 1002),
  );

  for (const [what, bytes, code] of badCloses) {
    fact(`ends at ${what} and delivers nothing after it`, async (rig) => {
      const gate = await rig.start();
      const raw = await RawSocket.upgrade(gate.at, socketPath);
      const server = await gate.sockets.next();
      raw.write(Buffer.concat([bytes, frame(TEXT, "after")]));
      const answer = await raw.frame();
      expect(answer?.head).toBe(0x88);
      if (rig.capabilities.explainsBrokenFrames) expect(answer?.payload.readUInt16BE(0)).toBe(code);
      raw.destroy();
      expect([code, 1005, 1006]).toContain((await server.endings.next()).code);
      expect(server.messages.waiting).toEqual([]);
    });
  }

  fact("puts fragments together, with control frames between them", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    const parts = [
      frame(TEXT_PART, "\xe2"),
      frame(PING, "p"),
      frame(PART, "\x82"),
      frame(PART, ""),
      frame(LAST, "\xac!"),
    ];
    for (const part of parts) raw.write(part);
    expect(await server.messages.next()).toBe("€!");
    expect(await raw.frame()).toEqual({ head: 0x8a, payload: Buffer.from("p") });
    raw.destroy();
  });

  fact("reads a frame that comes byte by byte", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    for (const byte of frame(TEXT, "slow")) {
      raw.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await server.messages.next()).toBe("slow");
    raw.destroy();
  });

  fact("reads frames that were sent together with the upgrade", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.connect(gate.at);
    raw.write(Buffer.concat([Buffer.from(upgradeText(socketPath)), frame(TEXT, "early")]));
    const server = await gate.sockets.next();
    expect(await server.messages.next()).toBe("early");
    raw.destroy();
  });
}

/** Collects garbage until the figure is small; fails with it when it stays large. */
async function untilBelow(figure: () => number, most: number): Promise<void> {
  for (let turn = 0; turn < 20 && figure() >= most; turn += 1) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(figure()).toBeLessThan(most);
}

export function limitFacts(fact: Fact): void {
  fact("ends a fragmented message over the limit", async (rig) => {
    const half = "x".repeat(maxMessageBytes / 2 + 1);
    await refusesFrame(rig, Buffer.concat([frame(TEXT_PART, half), frame(LAST, half)]), 1009);
  });

  fact("ends an unfinished message over the limit of its socket, which changes", async (rig) => {
    const gate = await rig.start({ react: { opened: ({ socket }) => socket.limitMessages(4) } });
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    raw.write(frame(TEXT, "four"));
    expect(await server.messages.next()).toBe("four");
    server.socket.limitMessages(8);
    raw.write(
      Buffer.concat([frame(TEXT, "eight ch"), frame(TEXT_PART, "four"), frame(LAST, "", { length: 5 })]),
    );
    expect(await server.messages.next()).toBe("eight ch");
    expect((await server.endings.next()).code).toBe(1009);
    raw.destroy();
  });

  fact("takes a message in fragments of one byte, and one that comes byte by byte", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    const text = "0123456789".repeat(400);
    const parts = [...text].map((byte, at) => frame(at === 0 ? TEXT_PART : PART, byte));
    raw.write(Buffer.concat([...parts, frame(LAST, "")]));
    expect(await server.messages.next()).toBe(text);
    for (const byte of frame(TEXT, text.slice(0, 1000))) {
      raw.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await server.messages.next()).toBe(text.slice(0, 1000));
    raw.destroy();
  });

  fact("keeps little of reads in which fragments came among other frames", async (rig) => {
    const gate = await rig.start();
    const before = process.memoryUsage().arrayBuffers;
    const raws: RawSocket[] = [];
    const filler = Buffer.concat(Array.from({ length: 500 }, () => frame(PONG, "p".repeat(125))));
    for (let i = 0; i < 4; i += 1) {
      const raw = await RawSocket.upgrade(gate.at, socketPath);
      const server = await gate.sockets.next();
      for (let part = 0; part < 100; part += 1) {
        raw.write(Buffer.concat([frame(part === 0 ? TEXT_PART : PART, "x"), filler]));
        for (let pong = 0; pong < 500; pong += 1) await server.pongs.next();
      }
      raws.push(raw);
    }
    // Kept whole, the reads of each socket would be 6.5 MB.
    await untilBelow(() => process.memoryUsage().arrayBuffers - before, 4_000_000);
    for (const raw of raws) raw.destroy();
  });

  fact("tells of every ping and every pong, and answers the pings", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    raw.write(Buffer.concat([frame(PING, "a"), frame(PONG, "b"), frame(PING, "")]));
    expect(await raw.frame()).toEqual({ head: 0x8a, payload: Buffer.from("a") });
    expect(await raw.frame()).toEqual({ head: 0x8a, payload: Buffer.alloc(0) });
    expect([server.pings.waiting, server.pongs.waiting]).toEqual([[true, true], [true]]);
    raw.destroy();
  });

  fact("closes from inside ping and pong, with the code, and tells nothing after it", async (rig) => {
    for (const [head, what] of [
      [PING, "pings"],
      [PONG, "pongs"],
    ] as const) {
      const gate = await rig.start({
        react: { control: ({ socket }) => socket.close(4105, "Too many messages") },
      });
      const raw = await RawSocket.upgrade(gate.at, socketPath);
      const server = await gate.sockets.next();
      raw.write(Buffer.concat(Array.from({ length: 100 }, () => frame(head, "p"))));
      const closed = Buffer.concat([Buffer.from([0x10, 0x09]), Buffer.from("Too many messages")]);
      const frames = [await raw.frame(), await raw.frame()].filter((one) => one !== undefined);
      expect(frames.filter((one) => one.head === 0x88).map((one) => one.payload)).toEqual([closed]);
      expect((await server.endings.next()).code).toBe(4105);
      expect(server[what].waiting).toEqual([true]);
      raw.destroy();
    }
  });

  fact("a flood of fragments neither grows nor reaches the handler", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    const flood = Buffer.concat(Array.from({ length: 10_000 }, () => frame(PART, "")));
    const before = process.memoryUsage().rss;
    raw.write(frame(TEXT_PART, ""));
    for (let i = 0; i < 20; i += 1) raw.write(flood);
    raw.write(Buffer.concat([frame(LAST, ""), frame(TEXT, "end")]));
    const ended = await Promise.race([
      server.endings.next().then(() => true),
      server.messages.next().then(() => false),
    ]);
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000);
    if (ended) expect(server.messages.waiting).toEqual([]);
    raw.destroy();
  });

  fact("ends a client that floods pings and reads no pong", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    raw.pause();
    const flood = Buffer.concat(Array.from({ length: 1000 }, () => frame(PING, "p".repeat(125))));
    let ended = false;
    let most = 0;
    const ending = server.endings.next().finally(() => {
      ended = true;
    });
    for (let i = 0; i < 400 && !ended; i += 1) {
      raw.write(flood);
      most = Math.max(most, server.socket.bufferedBytes);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await ending).code).toBe(1006);
    expect(most).toBeLessThan(1_000_000);
  });

  fact("never agrees to compression", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.connect(gate.at);
    raw.write(
      upgradeText(socketPath, { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" }),
    );
    const head = await raw.head();
    expect(head).toMatch(/^HTTP\/1.1 101 /);
    expect(head.toLowerCase()).not.toContain("extensions");
    raw.destroy();
    const client = await rig.connect(gate, { compression: true });
    client.send("x".repeat(2000));
    await gate.sockets.next();
    expect(await (await gate.sockets.next()).messages.next()).toHaveLength(2000);
  });
}

const handshakes: readonly (readonly [string, Record<string, string | undefined>, number])[] = [
  ["no key", { "Sec-WebSocket-Key": undefined }, 400],
  ["a short key", { "Sec-WebSocket-Key": "abc" }, 400],
  ["a key of the wrong alphabet", { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ!==" }, 400],
  ["version 8", { "Sec-WebSocket-Version": "8" }, 426],
  ["no version", { "Sec-WebSocket-Version": undefined }, 426],
  ["a body", { "Content-Length": "5" }, 400],
  ["a chunked body", { "Transfer-Encoding": "chunked" }, 400],
  ["a subprotocol twice", { "Sec-WebSocket-Protocol": "a, a" }, 400],
  ["a malformed subprotocol", { "Sec-WebSocket-Protocol": "a;b" }, 400],
  ["two subprotocols without a comma", { "Sec-WebSocket-Protocol": "a b" }, 400],
  ["a subprotocol list of 8000 characters", { "Sec-WebSocket-Protocol": "a".repeat(8000) }, 400],
  ["an extension list of 8000 characters", { "Sec-WebSocket-Extensions": "a,".repeat(4000) }, 400],
];

export function handshakeFacts(fact: Fact): void {
  for (const [what, headers, status] of handshakes) {
    fact(`answers an upgrade with ${what} ${status} and asks nobody`, async (rig) => {
      const gate = await rig.start();
      const answer = await ask(gate.at, upgradeText(socketPath, headers));
      expect(answer.status).toBe(status);
      if (status === 426) expect(answer.head.toLowerCase()).toContain("sec-websocket-version: 13");
      expect(gate.upgrades).toEqual([]);
      expect(gate.requests).toEqual([]);
    });
  }

  fact("passes over empty elements of the offered subprotocols", async (rig) => {
    const gate = await rig.start({ subprotocol: ({ subprotocols }) => subprotocols.at(-1) });
    const offers: readonly (readonly [string, readonly string[]])[] = [
      ["", []],
      [" , ", []],
      ["a,", ["a"]],
      [", a ,, b,", ["a", "b"]],
    ];
    for (const [offer, names] of offers) {
      const raw = await RawSocket.connect(gate.at);
      raw.write(upgradeText(socketPath, { "Sec-WebSocket-Protocol": offer }));
      const answer = await raw.head();
      expect(answer).toMatch(/^HTTP\/1.1 101 /);
      expect(/sec-websocket-protocol: (.*)\r/i.exec(answer)?.[1]).toBe(names.at(-1));
      expect((await gate.sockets.next()).request.subprotocols).toEqual(names);
      raw.destroy();
    }
  });

  fact("upgrades no HTTP/1.0 request, and none without a Host", async (rig) => {
    const gate = await rig.start();
    const upgrades = [
      upgradeText(socketPath).replace("HTTP/1.1", "HTTP/1.0"),
      upgradeText(socketPath, { Host: undefined }),
    ];
    for (const text of upgrades) {
      if (rig.capabilities.answersUnparsable) {
        const answer = await ask(gate.at, text);
        expect(answer.status).toBe(400);
        expect(JSON.parse(answer.body)).toMatchObject({ code: "invalid_format" });
        continue;
      }
      const raw = await RawSocket.connect(gate.at);
      raw.write(text);
      await ask(gate.at, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      expect(raw.text).toBe("");
      raw.destroy();
    }
    expect(gate.upgrades).toEqual([]);
    expect(gate.requests).toEqual([]);
  });

  fact("answers a POST upgrade 405", async (rig) => {
    const gate = await rig.start();
    const answer = await ask(gate.at, upgradeText(socketPath).replace("GET", "POST"));
    expect(answer.status).toBe(405);
    expect(gate.upgrades).toEqual([]);
  });

  fact("serves a request that offers another protocol as plain HTTP", async (rig) => {
    const gate = await rig.start();
    const headers = {
      Upgrade: "h2c",
      Connection: "Upgrade, HTTP2-Settings",
      "HTTP2-Settings": "AAMAAABkAAQAAP__",
    };
    for (const path of ["/x", socketPath]) {
      const answer = await ask(gate.at, upgradeText(path, headers));
      expect(answer).toMatchObject({ status: 200, body: `served ${path}` });
    }
    expect(gate.upgrades).toEqual([]);
  });

  fact("joins a repeated header, so that two origins are seen", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath, { Origin: "http://a", origin: "http://b" });
    expect((await gate.sockets.next()).request.header("origin")).toBe("http://a, http://b");
    raw.destroy();
  });

  fact("keeps a header named like a property of objects a plain header", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath, { constructor: "x" });
    const { request } = await gate.sockets.next();
    expect(request.header("constructor")).toBe("x");
    expect(request.header("tostring")).toBeUndefined();
    raw.destroy();
  });
}

export function lostConnectionFacts(fact: Fact): void {
  fact("says in words that a host is not an address of this machine", async (rig) => {
    await expect(rig.start({ host: "192.0.2.1", port: 8123 })).rejects.toThrow(
      "port 8123 cannot be had: the host is not an address of this machine (host 192.0.2.1)",
    );
  });

  fact("tells 1006 for a reset connection", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    raw.reset();
    expect(await server.endings.next()).toEqual({ code: 1006, reason: "" });
    expect(gate.listener.sockets).toBe(0);
  });

  fact("tells 1006 for a peer that ends its side without a close frame", async (rig) => {
    const gate = await rig.start();
    const raw = await RawSocket.upgrade(gate.at, socketPath);
    const server = await gate.sockets.next();
    raw.finish();
    expect(await server.endings.next()).toEqual({ code: 1006, reason: "" });
    await raw.end();
    raw.destroy();
  });

  fact(
    "destroys a connection whose peer ends its side and reads nothing of what waits for it",
    async (rig) => {
      const gate = await rig.start();
      const raw = await RawSocket.upgrade(gate.at, socketPath);
      const server = await gate.sockets.next();
      raw.pause();
      while (server.socket.send(new Uint8Array(60_000)) !== "queued");
      raw.finish();
      const ending = await within(server.endings.next(), "the end", rig.capabilities.destroysWithinMs + 2000);
      expect(ending.code).toBe(1006);
      raw.destroy();
    },
    15_000,
  );

  fact(
    "destroys a connection whose peer ignores the close",
    async (rig) => {
      const gate = await rig.start();
      const raw = await RawSocket.upgrade(gate.at, socketPath);
      const server = await gate.sockets.next();
      server.socket.close(4301, "out");
      expect((await raw.frame())?.payload).toEqual(
        Buffer.concat([Buffer.from([0x10, 0xcd]), Buffer.from("out")]),
      );
      await raw.writeUntilGone(frame(TEXT, "I go on"), rig.capabilities.destroysWithinMs + 2000);
      expect(await server.endings.next()).toEqual({ code: 4301, reason: "out" });
      expect(server.messages.waiting).toEqual([]);
    },
    15_000,
  );

  fact(
    "destroys a connection whose peer reads nothing after the close",
    async (rig) => {
      const gate = await rig.start();
      const raw = await RawSocket.upgrade(gate.at, socketPath);
      const server = await gate.sockets.next();
      raw.pause();
      while (server.socket.send(new Uint8Array(60_000)) !== "queued");
      server.socket.close(4104, "slow");
      await raw.writeUntilGone(frame(TEXT, "x"), rig.capabilities.destroysWithinMs + 2000);
      expect((await server.endings.next()).code).toBe(4104);
    },
    15_000,
  );
}
