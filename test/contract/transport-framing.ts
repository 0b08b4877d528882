import { expect } from "vitest";
import type { HttpResponse } from "../../src/http/endpoint.ts";
import { ask, fieldsOf, readAnswer } from "../support/raw-http.ts";
import { RawSocket, upgradeText } from "../support/raw-socket.ts";
import { reply, textOf } from "../support/reply.ts";
import { type Fact, type Gate, type Rig, refusalFields, socketPath } from "./transport-rig.ts";

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
const post = (headers: string, body = "") => `POST /first HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}`;

/**
 * Requests whose end two parsers could see in different places (RFC 9112 sections 6.3 and 11.2), each with a second
 * request behind it. `parsed`: the library's own parser accepts it, so that the adapter must refuse.
 */
const ambiguous: readonly (readonly [string, string])[] = [
  ["two lengths that differ", post("Content-Length: 0\r\nContent-Length: 37\r\n", smuggled)],
  ["two lengths, the larger first", post("Content-Length: 37\r\nContent-Length: 0\r\n", smuggled)],
  ["two lengths that are equal", post("Content-Length: 0\r\nContent-Length: 0\r\n", smuggled)],
  ["two lengths in one field", post("Content-Length: 0, 0\r\n", smuggled)],
  [
    "length and chunked",
    post("Content-Length: 37\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${smuggled}`),
  ],
  ["chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", `0\r\n\r\n${smuggled}`)],
  ["an unknown encoding", post("Transfer-Encoding: xchunked\r\n", `0\r\n\r\n${smuggled}`)],
  ["identity encoding", post("Transfer-Encoding: identity\r\n", smuggled)],
  ["gzip before chunked", post("Transfer-Encoding: gzip, chunked\r\n", `0\r\n\r\n${smuggled}`)],
  ["chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", `0\r\n\r\n${smuggled}`)],
  [
    "two encodings",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", `0\r\n\r\n${smuggled}`),
  ],
  ["chunked before another", post("Transfer-Encoding: chunked, identity\r\n", `0\r\n\r\n${smuggled}`)],
  ["an empty length", post("Content-Length: \r\n", smuggled)],
  ["a signed length", post("Content-Length: +0\r\n", smuggled)],
  ["a negative length", post("Content-Length: -1\r\n", smuggled)],
  ["a hexadecimal length", post("Content-Length: 0x0\r\n", smuggled)],
  ["a length beyond every number", post("Content-Length: 99999999999999999999999\r\n", smuggled)],
  ["two hosts", `GET /first HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n${smuggled}`],
  ["a space before the colon", post("Content-Length : 37\r\n", smuggled)],
  ["a tab before the colon", post("Transfer-Encoding\t: chunked\r\n", `0\r\n\r\n${smuggled}`)],
  ["a folded header", post("X: y\r\n Transfer-Encoding: chunked\r\n", `0\r\n\r\n${smuggled}`)],
  ["a header without a colon", post("nonsense\r\nContent-Length: 37\r\n", smuggled)],
  ["a bare CR in a value", post("X: y\rContent-Length: 37\r\n", smuggled)],
  ["a NUL in a value", post("X: y\u0000z\r\n", smuggled)],
  ["a body on an upgrade", upgradeText(socketPath, { "Content-Length": "37" }) + smuggled],
  ["a chunked upgrade", `${upgradeText(socketPath, { "Transfer-Encoding": "chunked" })}0\r\n\r\n${smuggled}`],
];

/** What is behind a refused request, on the same connection, is not served: neither at once nor later. */
async function refusesFraming(rig: Rig, text: string): Promise<void> {
  const asked: string[] = [];
  const gate = await rig.start({
    http: async (request) => {
      asked.push(request.url.pathname);
      return reply("served");
    },
  });
  const raw = await RawSocket.connect(gate.at);
  raw.write(text);
  if (rig.capabilities.answersUnparsable) {
    await raw.end();
    expect(raw.text).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(raw.text.match(/HTTP\/1.1/g)).toHaveLength(1);
  } else {
    await settled(gate);
    expect(raw.text).not.toContain(" 200 ");
    expect(raw.text).not.toContain(" 101 ");
  }
  raw.write(smuggled);
  await settled(gate);
  raw.destroy();
  expect(asked.filter((path) => path !== "/settled")).toEqual([]);
  expect(gate.upgrades).toEqual([]);
}

/** Two whole exchanges on other connections: what was written before them has been read. */
async function settled(gate: Gate): Promise<void> {
  for (let i = 0; i < 2; i += 1) await ask(gate.at, "GET /settled HTTP/1.1\r\nHost: x\r\n\r\n");
}

export function framingFacts(fact: Fact): void {
  for (const [what, text] of ambiguous)
    fact(`serves nothing behind ${what}`, (rig) => refusesFraming(rig, text));

  for (const index of [0, 1, 2, 8, 12, 17, 24]) {
    const [what, text] = ambiguous[index] ?? ["", ""];
    fact(`answers ${what} 400 and closes`, async (rig) => {
      const gate = await rig.start();
      const raw = await RawSocket.connect(gate.at);
      // Without the second request: with it, a transport may drop the connection instead.
      raw.write(text.replace(smuggled, ""));
      expect(await raw.head()).toMatch(/^HTTP\/1.1 400 /);
      await raw.end();
      raw.destroy();
    });
  }

  fact(
    "serves nothing behind a chunk extension or bare line feeds in chunks that the parser misreads",
    async (rig) => {
      const asked: string[] = [];
      const gate = await rig.start({
        http: async (request) => {
          asked.push(`${request.url.pathname} ${textOf(request)}`);
          return reply("served");
        },
      });
      for (const body of [
        "5;a=b\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "0\n\n",
        "5 \r\nhello\r\n0\r\n\r\n",
      ]) {
        const raw = await RawSocket.connect(gate.at);
        raw.write(post("Transfer-Encoding: chunked\r\n", body));
        await settled(gate);
        raw.write(smuggled);
        await settled(gate);
        raw.destroy();
      }
      // A parser that reads a chunk extension right may answer on and serve the next request: it agrees with the sender.
      const stolen = asked.filter((line) => line.startsWith("/first") && line.includes("smuggled"));
      expect(stolen).toEqual([]);
    },
  );

  fact("closes the connection after a refusal, also for a request that comes later", async (rig) => {
    const gate = await rig.start({ maxBodyBytes: 10 });
    const raw = await RawSocket.connect(gate.at);
    raw.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n${"x".repeat(11)}`);
    expect(await raw.head()).toMatch(/^HTTP\/1.1 413 /);
    await raw.end();
    raw.destroy();
  });
}

const refusals: readonly (readonly [string, string, number, string])[] = [
  ["a body over the limit", post("Content-Length: 20001\r\n", "x".repeat(20_001)), 413, "payload_too_large"],
  ["a method that is not HTTP's", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 501, "method_not_allowed"],
  ["two lengths", post("Content-Length: 1\r\nContent-Length: 0\r\n"), 400, "invalid_format"],
  ["an upgrade elsewhere", upgradeText("/elsewhere"), 404, "not_found"],
  ["an upgrade by POST", upgradeText(socketPath).replace("GET", "POST"), 405, "method_not_allowed"],
  ["another version", upgradeText(socketPath, { "Sec-WebSocket-Version": "8" }), 426, "upgrade_required"],
  ["an admission that throws", upgradeText(socketPath), 500, "unknown_error"],
  ["a handler that throws", post(""), 500, "unknown_error"],
];
/** What only a parser that answers refuses aloud. */
const unparsable: typeof refusals = [
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400, "invalid_format"],
  ["no HTTP", "nonsense\r\n\r\n", 400, "invalid_format"],
  ["a broken chunk", post("Transfer-Encoding: chunked\r\n", "zz\r\n"), 400, "invalid_format"],
  [
    "a large field",
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(70_000)}\r\n\r\n`,
    431,
    "payload_too_large",
  ],
  ["65 fields", `GET / HTTP/1.1\r\nHost: x\r\n${"a: b\r\n".repeat(65)}\r\n`, 431, "payload_too_large"],
  ["an expectation", post("Expect: tea\r\n"), 417, "not_supported"],
];

export function refusalFacts(fact: Fact): void {
  const broken = (): never => {
    throw new Error("broken");
  };
  fact("refuses in the shape of every other error: code, headers, the end of the connection", async (rig) => {
    const gate = await rig.start({ checkUpgrade: broken, http: broken });
    const asked = rig.capabilities.answersUnparsable ? [...refusals, ...unparsable] : refusals;
    for (const [what, text, status, code] of asked) {
      const answer = await ask(gate.at, text);
      expect([what, answer.status]).toEqual([what, status]);
      expect(fieldsOf(answer)).toMatchObject(refusalFields);
      expect(JSON.parse(answer.body)).toEqual({ message: expect.any(String), code });
    }
  });

  fact("tells of each request that it refuses, with its address, and of no other", async (rig) => {
    const told: (readonly [string, unknown])[] = [];
    const accounting = {
      refused: (address: string, header: (name: string) => unknown) =>
        void told.push([address, header("x-mark")]),
      handshake: () => undefined,
      upgraded: () => undefined,
      accepts: () => true,
    };
    const checkUpgrade = () => ({ accept: false, status: 403, headers: {}, body: "no" }) as const;
    const gate = await rig.start({ accounting, checkUpgrade });
    await ask(gate.at, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(told).toEqual([]);
    const marked = (text: string) => text.replace("\r\n\r\n", "\r\nX-Mark: here\r\n\r\n");
    const before = ["a method that is not HTTP's", "an upgrade elsewhere", "another version"];
    const own = refusals.filter(([what]) => before.includes(what)).map(([, text]) => marked(text));
    for (const text of [...own, marked(upgradeText(socketPath))]) {
      await ask(gate.at, text);
      expect(told.splice(0)).toEqual([["127.0.0.1", "here"]]);
    }
    for (const [, text] of rig.capabilities.answersUnparsable ? unparsable : []) {
      await ask(gate.at, text);
      // Once for each read of what is still sent on that connection.
      expect(new Set(told.splice(0).map(([address]) => address))).toEqual(new Set(["127.0.0.1"]));
    }
  });

  fact("puts the security headers on a refused admission too", async (rig) => {
    const headers = { "x-why": "origin", connection: "close" };
    const checkUpgrade = () =>
      ({ accept: false, status: 403, headers: { "x-why": "origin" }, body: "no" }) as const;
    const gate = await rig.start({ checkUpgrade });
    const fields = fieldsOf(await ask(gate.at, upgradeText(socketPath)));
    const { "content-type": _, "cache-control": __, ...secure } = refusalFields;
    expect(fields).toMatchObject({ ...secure, ...headers });
  });

  fact("names the protocol in a 426, its own and the handler's, also while it stops", async (rig) => {
    const headers = { upgrade: "websocket", connection: "x", "keep-alive": "x" };
    const gate = await rig.start({ http: async () => reply("no", { status: 426, headers }) });
    const own = fieldsOf(await ask(gate.at, upgradeText(socketPath, { "Sec-WebSocket-Version": "8" })));
    expect(own.upgrade).toBe("websocket");
    expect(own.connection?.split(", ").toSorted()).toEqual(["close", "upgrade"]);
    const raw = await RawSocket.connect(gate.at);
    const closing = rig.capabilities.keepsConnections ? [] : ["close"];
    for (let i = 0; i < (rig.capabilities.keepsConnections ? 2 : 1); i += 1) {
      raw.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      const answer = await readAnswer(raw);
      expect([answer.status, answer.body]).toEqual([426, "no"]);
      const fields = fieldsOf(answer);
      expect(fields.upgrade).toBe("websocket");
      expect(fields.connection?.split(", ").toSorted()).toEqual([...closing, "upgrade"]);
    }
    gate.listener.stopAccepting();
    raw.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const last = await readAnswer(raw).catch(() => undefined);
    if (last !== undefined) expect(fieldsOf(last).connection?.split(", ")).toContain("close");
    await raw.end();
    raw.destroy();
  });

  fact("answers nothing for another request when what is behind it is no HTTP", async (rig) => {
    let answer: (response: HttpResponse) => void = () => undefined;
    const gate = await rig.start({
      http: (request) => {
        if (request.url.pathname.endsWith("/settled")) return Promise.resolve(reply(""));
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
    const raw = await RawSocket.connect(gate.at);
    raw.write("GET /first HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n");
    await settled(gate);
    answer(reply("done"));
    if (rig.capabilities.answersUnparsable) await raw.end();
    else await settled(gate);
    expect(raw.text).not.toMatch(/ [45]\d\d /);
    raw.destroy();
  });
}

const bombs: readonly (readonly [string, string])[] = [
  ["2000 fields", "a: b\r\n".repeat(2000)],
  ["65 fields", "a: b\r\n".repeat(65)],
  ["a field of 20 KiB", `X: ${"a".repeat(20 * 1024)}\r\n`],
  ["a field of 64 KiB", `X: ${"a".repeat(64 * 1024)}\r\n`],
  ["a name of 20 KiB", `${"a".repeat(20 * 1024)}: x\r\n`],
];

export function bombFacts(fact: Fact): void {
  for (const [what, headers] of bombs) {
    fact(`serves no request with ${what}`, async (rig) => {
      let asked = 0;
      const gate = await rig.start({
        http: async (request) => {
          if (!request.url.pathname.endsWith("/settled")) asked += 1;
          return reply("");
        },
      });
      for (const text of [
        `GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n`,
        bombOn(upgradeText(socketPath), headers),
      ]) {
        const raw = await RawSocket.connect(gate.at);
        raw.write(text);
        if (rig.capabilities.answersUnparsable) expect(await raw.head()).toMatch(/^HTTP\/1.1 4\d\d /);
        else await settled(gate);
        expect(raw.text).not.toMatch(/ 200 | 101 /);
        raw.destroy();
      }
      expect(asked).toBe(0);
      expect(gate.upgrades).toEqual([]);
    });
  }

  fact("lives on after bytes that are not HTTP", async (rig) => {
    const gate = await rig.start();
    const noise = [
      "\u0016\u0003\u0001\u0002\u0000\u0001\u0000",
      "hello\r\n\r\n",
      "\u0000".repeat(1000),
      "GET",
      "\r\n",
      "PRI * HTTP/2.0\r\n\r\n",
    ];
    const raws = await Promise.all(
      noise.map(async (bytes) => {
        const raw = await RawSocket.connect(gate.at);
        raw.write(bytes);
        return raw;
      }),
    );
    await settled(gate);
    for (const raw of raws) raw.destroy();
    await settled(gate);
    expect(gate.errors).toEqual([]);
  });
}

function bombOn(upgrade: string, headers: string): string {
  return upgrade.replace(/\r\n$/, `${headers}\r\n`);
}

export function slowFacts(fact: Fact): void {
  fact(
    "ends connections that say nothing whole: silent, half a header, half a body",
    async (rig) => {
      const gate = await rig.start();
      const half = [
        "",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nhalf",
      ];
      const raws = await Promise.all(
        half.map(async (bytes) => {
          const raw = await RawSocket.connect(gate.at);
          raw.write(bytes);
          return raw;
        }),
      );
      const drip = setInterval(() => {
        for (const raw of raws.slice(1)) raw.write("X: y\r\n");
      }, 500);
      try {
        await Promise.all(raws.map((raw) => raw.end(18_000)));
        for (const [index, raw] of raws.entries()) {
          if (index < 2 && !rig.capabilities.answersUnparsable) continue;
          const answer = await readAnswer(raw);
          expect(answer.status).toBe(408);
          expect(fieldsOf(answer)).toMatchObject(refusalFields);
          expect(JSON.parse(answer.body)).toMatchObject({ code: "timeout" });
        }
      } finally {
        clearInterval(drip);
      }
    },
    25_000,
  );
}
