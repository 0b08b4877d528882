import { connect, type Socket } from "node:net";

const UPGRADE = [
  "GET /api/websocket HTTP/1.1",
  "Host: 127.0.0.1",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
  "\r\n",
].join("\r\n");

/** A masked text frame (mask zero: the server unmasks all the same). */
function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = payload.length < 126 ? Buffer.from([0x81, 0x80 | payload.length]) : Buffer.alloc(4);
  if (payload.length >= 126) {
    head[0] = 0x81;
    head[1] = 0x80 | 126;
    head.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

/** One connect → `auth_ok`, as Home Assistant's client does it: `auth` goes out as soon as the socket is open. */
function authenticateOnce(port: number, frame: Buffer): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let seen = "";
    let upgraded = false;
    socket.on("connect", () => socket.write(UPGRADE));
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
      if (!upgraded && seen.includes("\r\n\r\n")) {
        upgraded = true;
        socket.write(frame);
      }
      if (seen.includes('"auth_ok"')) resolve(socket);
      else if (seen.includes('"auth_invalid"')) reject(new Error("auth_invalid"));
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed early: ${seen.slice(0, 200)}`)));
  });
}

/**
 * Connects and authenticates once with each token, `concurrency` at a time, dropping every socket after `auth_ok`.
 * Resolves to the seconds it took.
 */
export async function authenticateAll(
  port: number,
  tokens: readonly string[],
  concurrency: number,
): Promise<number> {
  const frames = tokens.map((token) => textFrame(JSON.stringify({ type: "auth", access_token: token })));
  const started = process.hrtime.bigint();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let frame = frames[next++]; frame !== undefined; frame = frames[next++]) {
      const socket = await authenticateOnce(port, frame);
      socket.removeAllListeners("close");
      socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return Number(process.hrtime.bigint() - started) / 1e9;
}
