import { once } from "node:events";
import { connect as secure, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { createMemoryTransport } from "../../src/transport/memory.ts";
import type { ListenOptions, Transport } from "../../src/transport/transport.ts";
import { createUwsTransport } from "../../src/transport/uws.ts";
import { createWsTransport } from "../../src/transport/ws.ts";
import { Gate, socketPath } from "../contract/transport-rig.ts";
import { makeCertificate } from "../support/certificate.ts";
import { openFrameClient } from "../support/frame-client.ts";
import { stretched } from "../support/machine-share.ts";
import { ask } from "../support/raw-http.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { within } from "../support/within.ts";

const first = makeCertificate("first");
const second = makeCertificate("second");
const get = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function start(
  transport: Transport = createWsTransport(),
  options: Partial<ListenOptions> = {},
): Promise<Gate> {
  const gate = new Gate(transport, [], first);
  await gate.listen(options);
  undo.push(() => gate.listener.close(0));
  return gate;
}

async function startWith(options: Partial<ListenOptions>) {
  const gate = await start(undefined, options);
  return { gate, at: gate.at };
}

/** The server's certificate, as a client that believes anything sees it. */
async function seen(port: number): Promise<string> {
  const socket = secure({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await within(once(socket, "secureConnect"), "a handshake");
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

describe("handshakes", () => {
  it("are told of, broken off or not, and of a connection that became a WebSocket again", async () => {
    const told: string[] = [];
    let wake: () => void = () => undefined;
    const tell = (what: string) => (address: string) => {
      told.push(`${what} ${address}`);
      wake();
    };
    const accounting = {
      ...{ refused: tell("refused"), handshake: tell("handshake"), upgraded: tell("upgraded") },
      accepts: () => true,
    };
    const next = async (count: number) => {
      while (told.length < count)
        await within(
          new Promise<void>((resolve) => {
            wake = resolve;
          }),
          "a note",
        );
      return told.splice(0);
    };
    const { at, gate } = await startWith({ accounting });
    // Opened and closed: nothing was asked for.
    (await RawSocket.connect(at.port)).destroy();
    await RawSocket.upgrade(at, socketPath);
    await gate.sockets.next();
    expect(await next(2)).toEqual(["handshake 127.0.0.1", "upgraded 127.0.0.1"]);
    const broken = await RawSocket.connect(at.port);
    broken.write("no handshake at all, but as long as a record must be, whatever it is");
    await broken.end();
    broken.destroy();
    expect(await next(1)).toEqual(["handshake 127.0.0.1"]);
    expect((await ask(at, get)).status).toBe(200);
    expect(await next(1)).toEqual(["handshake 127.0.0.1"]);
  });

  it("are not done for a peer that is not accepted", async () => {
    const told: string[] = [];
    const accounting = {
      ...{ refused: () => undefined, upgraded: () => undefined },
      handshake: (address: string) => void told.push(address),
      accepts: () => false,
    };
    const { at } = await startWith({ accounting });
    await expect(RawSocket.connect(at)).rejects.toThrow();
    expect(told).toEqual([]);
  });
});

describe("versions", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("speaks %s", async (version) => {
    const { at } = await start();
    const tls = { ...at.tls, minVersion: version, maxVersion: version };
    expect(await ask({ ...at, tls }, get)).toMatchObject({ status: 200, body: "served /x" });
  });

  it("does not speak TLS 1.1, also with a client that would take any cipher", async () => {
    const { at } = await start();
    const tls = {
      ...at.tls,
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "ALL:@SECLEVEL=0",
    } as const;
    await expect(RawSocket.connect({ ...at, tls })).rejects.toThrow(/protocol version/);
    expect((await ask(at, get)).status).toBe(200);
  });

  it("chooses http/1.1 of what a client offers, and refuses one that speaks something else only", async () => {
    const { at } = await start();
    const offering = (...ALPNProtocols: string[]) => ({ ...at, tls: { ...at.tls, ALPNProtocols } });
    expect((await ask(offering("h2", "http/1.1"), get)).status).toBe(200);
    await expect(RawSocket.connect(offering("h2"))).rejects.toThrow(/no application protocol/);
  });

  it("gives a TLS 1.2 client no second handshake", async () => {
    const { at } = await start();
    const socket = secure({ ...at.tls, port: at.port, host: "127.0.0.1", maxVersion: "TLSv1.2" });
    await within(once(socket, "secureConnect"), "a handshake");
    expect(socket.getProtocol()).toBe("TLSv1.2");
    const outcome = new Promise<Error | null>((resolve) => {
      socket.on("error", resolve);
      socket.renegotiate({}, resolve);
    });
    expect(await within(outcome, "the answer to a renegotiation")).toMatchObject({
      code: "ERR_SSL_NO_RENEGOTIATION",
    });
    socket.destroy();
    expect((await ask(at, get)).status).toBe(200);
  });
});

describe("strangers", () => {
  it("survives what is no TLS on its port, and answers none of it", async () => {
    const gate = await start();
    for (const bytes of [
      get,
      "\u0000".repeat(500),
      "\u0016\u0003\u0001\u0000\u0005hello",
      "\u0016\u0003\u0001",
    ]) {
      const raw = await RawSocket.connect(gate.port);
      raw.write(bytes);
      expect((await ask(gate.at, get)).status).toBe(200);
      if (bytes.length > 4) await raw.end();
      // At most an alert.
      expect(raw.text).not.toContain("HTTP");
      raw.destroy();
    }
    expect([gate.errors, gate.upgrades]).toEqual([[], []]);
  });

  it("ends a handshake that does not end, however it is dripped", async () => {
    const gate = await start();
    const silent = await RawSocket.connect(gate.port);
    const dripping = await RawSocket.connect(gate.port);
    // A ClientHello of 512 bytes begins.
    dripping.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]));
    const drip = setInterval(() => dripping.write(Uint8Array.of(0)), 300);
    const before = performance.now();
    try {
      await Promise.all([silent.end(11_000), dripping.end(11_000)]);
      expect(performance.now() - before).toBeGreaterThan(5000);
    } finally {
      clearInterval(drip);
      silent.destroy();
      dripping.destroy();
    }
  });

  it("do not hold up a stop in the middle of their handshake", async () => {
    const gate = await start();
    const raw = await RawSocket.connect(gate.port);
    raw.write(Buffer.from([22, 3, 1, 2, 0, 1, 0]));
    await ask(gate.at, get);
    const before = performance.now();
    await within(gate.listener.close(100), "the stop", stretched(3000));
    expect(performance.now() - before).toBeLessThan(stretched(2000));
    await raw.end();
    raw.destroy();
  });

  it("do not hold up a stop with a connection on which they say nothing", async () => {
    const gate = await start();
    const raw = await RawSocket.connect(gate.at);
    await within(gate.listener.close(100), "the stop", stretched(3000));
    await raw.end();
    raw.destroy();
  });
});

describe("a new certificate", () => {
  it("is what new connections see, while open sockets go on", async () => {
    const gate = await start();
    const client = await openFrameClient(gate.at, socketPath);
    const server = await gate.sockets.next();
    expect(await seen(gate.port)).toBe("first.test");
    gate.listener.renewTls(second);
    expect(await seen(gate.port)).toBe("second.test");
    client.send("still here");
    expect(await server.messages.next()).toBe("still here");
    server.socket.send("so am I");
    expect(await client.frames.next()).toBe("so am I");
    client.terminate();
  });

  it("is not avoided by a session from before it", async () => {
    const gate = await start();
    const options = { ...gate.at.tls, port: gate.port, host: "127.0.0.1", maxVersion: "TLSv1.2" as const };
    const before = secure(options);
    const session = await ticketOf(before);
    const resumed = secure({ ...options, session });
    await within(once(resumed, "secureConnect"), "a resumption");
    expect(resumed.isSessionReused()).toBe(true);
    resumed.destroy();
    gate.listener.renewTls(second);
    const after = secure({ ...options, ca: second.certificate, session });
    await within(once(after, "secureConnect"), "a handshake");
    expect(after.isSessionReused()).toBe(false);
    after.destroy();
  });

  it("keeps the versions and the refusal of a second handshake", async () => {
    const gate = await start();
    gate.listener.renewTls(second);
    const tls = { ca: second.certificate, maxVersion: "TLSv1.1", minVersion: "TLSv1" } as const;
    const old = { ...tls, ciphers: "ALL:@SECLEVEL=0" };
    await expect(RawSocket.connect({ port: gate.port, tls: old })).rejects.toThrow(/protocol version/);
    const socket = secure({ ca: tls.ca, port: gate.port, host: "127.0.0.1", maxVersion: "TLSv1.2" });
    await within(once(socket, "secureConnect"), "a handshake");
    const outcome = new Promise<Error | null>((resolve) => {
      socket.on("error", resolve);
      socket.renegotiate({}, resolve);
    });
    expect(await within(outcome, "the answer")).toMatchObject({ code: "ERR_SSL_NO_RENEGOTIATION" });
    socket.destroy();
  });

  it.each([
    ["whose key is another's", { certificate: second.certificate, key: first.key }],
    ["that is none", { certificate: Buffer.from("none"), key: second.key }],
    ["without a key", { certificate: second.certificate, key: Buffer.from("none") }],
  ])("%s is refused, and the old one goes on", async (_, pair) => {
    const gate = await start();
    expect(() => gate.listener.renewTls(pair)).toThrow();
    expect(await seen(gate.port)).toBe("first.test");
    expect((await ask(gate.at, get)).status).toBe(200);
  });

  it("after the stop does nothing", async () => {
    const gate = await start();
    await gate.listener.close(0);
    gate.listener.renewTls(second);
  });
});

describe("without TLS", () => {
  it.each([
    ["uws", createUwsTransport],
    ["memory", createMemoryTransport],
  ])("%s says so instead of listening in the clear", async (name, create) => {
    const transport = await create();
    await expect(start(transport)).rejects.toThrow(`transport ${name} has no TLS`);
  });

  it("a listener takes no certificate later", async () => {
    const gate = new Gate(createWsTransport(), [], undefined);
    await gate.listen({});
    undo.push(() => gate.listener.close(0));
    expect(() => gate.listener.renewTls(first)).toThrow("has no TLS");
    expect((await ask(gate.port, get)).status).toBe(200);
  });
});

async function ticketOf(socket: TLSSocket): Promise<Buffer> {
  const [ticket]: Buffer[] = await within(once(socket, "session"), "a session");
  socket.destroy();
  if (ticket === undefined) throw new Error("no session");
  return ticket;
}
