import { WebSocket } from "ws";
import { Events } from "./events.ts";
import type { Place } from "./raw-socket.ts";
import { within } from "./within.ts";

export interface Ending {
  readonly code: number;
  readonly reason: string;
}

export interface FrameClientOptions {
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly subprotocols?: readonly string[];
  readonly compression?: boolean;
}

/** A WebSocket client at the level of frames. */
export interface FrameClient {
  readonly subprotocol: string | undefined;
  readonly frames: Events<string | Uint8Array>;
  readonly closed: Promise<Ending>;
  send(frame: string | Uint8Array): void;
  ping(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
}

/** The server answered with HTTP and opened no socket. */
export class Refused extends Error {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
  constructor(status: number, body: string, headers: Readonly<Record<string, unknown>>) {
    super(`refused with ${status}: ${body}`);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** Connects to a listening port. Rejects with `Refused` if the answer is not 101. */
export async function openFrameClient(
  at: Place,
  path: string,
  options: FrameClientOptions = {},
): Promise<FrameClient> {
  const scheme = at.tls === undefined ? "ws" : "wss";
  const url = `${scheme}://127.0.0.1:${at.port}${options.target ?? path}`;
  const ws = new WebSocket(url, [...(options.subprotocols ?? [])], {
    ...at.tls,
    headers: { ...options.headers },
    perMessageDeflate: options.compression ?? false,
  });
  const frames = new Events<string | Uint8Array>("a frame");
  ws.on("message", (data: Buffer, isBinary: boolean) =>
    frames.push(isBinary ? new Uint8Array(data) : data.toString("utf8")),
  );
  const closed = new Promise<Ending>((resolve) => {
    ws.on("close", (code, reason) => resolve({ code, reason: reason.toString("utf8") }));
  });
  await within(opened(ws), "a socket to open");
  return {
    subprotocol: ws.protocol === "" ? undefined : ws.protocol,
    frames,
    closed,
    send: (frame) => ws.send(frame),
    ping: () => ws.ping(),
    close: (code, reason) => ws.close(code, reason),
    terminate: () => ws.terminate(),
    pause: () => ws.pause(),
    resume: () => ws.resume(),
  };
}

function opened(ws: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    ws.on("open", resolve);
    ws.on("error", reject);
    ws.on("unexpected-response", (request, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        reject(
          new Refused(response.statusCode ?? 0, Buffer.concat(chunks).toString("utf8"), response.headers),
        );
        request.destroy();
      });
    });
  });
}
