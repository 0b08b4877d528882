import { channel } from "node:diagnostics_channel";
import { expect } from "vitest";
import type { HttpGate, HttpRequest } from "../../src/http/endpoint.ts";
import { ask } from "../support/raw-http.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { reply, textOf } from "../support/reply.ts";
import { type Fact, maxBodyBytes } from "./transport-rig.ts";

/** More than any transport takes of one connection at once. */
const many = 700;
const few = 20;

/** A gate that counts what it was asked, and what bodies were charged. */
function countingGate(accept: boolean) {
  const counts = { asked: 0, chargedMs: 0 };
  const httpGate: HttpGate = ({ address }) => {
    counts.asked += 1;
    if (!accept) return { accept, status: 429, headers: {}, body: "" };
    const charge = (ms: number) => {
      counts.chargedMs += ms;
    };
    return { accept, peer: { address }, leave: () => undefined, charge };
  };
  return { counts, httpGate };
}

const chunkedHead = "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

/** What one connection may make the server do in one turn, in the number of things done. */
export function floodFacts(fact: Fact): void {
  fact("handles few of the many requests that come at once, and ends the connection", async (rig) => {
    const kinds = {
      get: "GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
      body: "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
      continue: "POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
      expectation: "POST /x HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: 0\r\n\r\n",
    };
    let parsed = 0;
    const count = () => {
      parsed += 1;
    };
    const requests = channel("http.server.request.start");
    requests.subscribe(count);
    try {
      for (const accept of [true, false]) {
        for (const [kind, request] of Object.entries(kinds)) {
          parsed = 0;
          const { counts, httpGate } = countingGate(accept);
          const gate = await rig.start({ httpGate });
          const raw = await RawSocket.connect(gate.at);
          raw.write(request.repeat(many));
          await raw.end();
          expect(counts.asked, kind).toBeLessThan(few);
          // Of node:http alone, which would give us all that one read holds.
          expect(parsed, kind).toBeLessThan(few);
          expect(raw.text.split("100 Continue").length, kind).toBeLessThan(few);
          raw.destroy();
        }
      }
    } finally {
      requests.unsubscribe(count);
    }
  });

  fact("serves a body that comes in some small chunks, and charges for each", async (rig) => {
    const { counts, httpGate } = countingGate(true);
    const gate = await rig.start({ httpGate });
    const answer = await ask(gate.at, `${chunkedHead}${"1\r\na\r\n".repeat(200)}0\r\n\r\n`);
    expect(answer.status).toBe(200);
    expect(counts.chargedMs).toBeGreaterThan(0);
  });

  fact("serves a body with a few chunk extensions or refuses it, and ends one of far more", async (rig) => {
    let served = "";
    const http = async (request: HttpRequest) => {
      served = textOf(request);
      return reply(served);
    };
    const gate = await rig.start({ http });
    const sent = async (chunks: string) => {
      served = "";
      const raw = await RawSocket.connect(gate.at);
      raw.write(`${chunkedHead}${chunks}0\r\n\r\n`);
      await raw.end().finally(() => raw.destroy());
      return raw.text.slice(0, "HTTP/1.1 xxx".length);
    };
    const [one, most] = [`1;${"x".repeat(20_000)}\r\na\r\n`, `1;${"x".repeat(15_000)}\r\na\r\n`];
    expect(["HTTP/1.1 413", ""]).toContain(await sent(one));
    expect(await sent(most.repeat(200))).toBe("");
    expect(served).toBe("");
  });

  fact("ends a connection whose body comes in many small chunks, and charges for it", async (rig) => {
    const { counts, httpGate } = countingGate(true);
    const gate = await rig.start({ httpGate });
    const raw = await RawSocket.connect(gate.at);
    // As many as the body may have bytes: their number alone ends it.
    raw.write(`${chunkedHead}${"1\r\na\r\n".repeat(maxBodyBytes)}0\r\n\r\n`);
    await raw.end();
    expect(raw.text).toBe("");
    expect(counts.chargedMs).toBeGreaterThan(10);
    raw.destroy();
  });
}
