import { connect, type Socket } from "node:net";

/** Source addresses are used in turn: a server that limits each address sees several clients. */
const SOURCES = 32;
/** Below the kernel's ephemeral range, and in turn: see `raw-socket.ts`. Other addresses than the ones there. */
const FIRST_PORT = 12_000;
const PORTS = 20_000;

const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = "\r\n";

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

interface Waiting {
  resolve(answer: HttpAnswer): void;
  reject(error: Error): void;
}

let opened = 0;

/**
 * A minimal HTTP/1.1 client, which must be cheaper than every server that it loads: one request at a time, and of an
 * answer only the status, the length and the end are read. If the server ends the connection after an answer, the next
 * request opens another one.
 */
export class HttpConnection {
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #waiting: Waiting | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Rejects if the connection breaks before the answer is whole. */
  exchange(request: Buffer): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket ??= this.#connect();
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #connect(): Socket {
    const nth = opened++;
    const socket = connect({
      port: this.#port,
      host: "127.0.0.1",
      localAddress: `127.0.1.${1 + (nth % SOURCES)}`,
      localPort: FIRST_PORT + (Math.floor(nth / SOURCES) % PORTS),
      noDelay: true,
    });
    socket.on("data", (chunk) => this.#data(chunk));
    socket.on("error", (error) => this.#lost(socket, error));
    socket.on("close", () => this.#lost(socket, new Error("the connection ended before the answer")));
    return socket;
  }

  #lost(socket: Socket, error: Error): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#received = Buffer.alloc(0);
    this.#waiting?.reject(error);
  }

  #data(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#received.toString("latin1", 0, headEnd).toLowerCase();
    const body = bodyAt(head, this.#received, headEnd + HEAD_END.length);
    if (body === undefined) return;
    this.#received = this.#received.subarray(body.end);
    if (head.includes("\r\nconnection: close")) this.close();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), text: body.text });
  }
}

/** The body and where it ends. Undefined if it is not whole yet. */
function bodyAt(head: string, received: Buffer, start: number): { text: string; end: number } | undefined {
  const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
  if (length === undefined) return chunksAt(received, start);
  const end = start + Number(length);
  return received.length < end ? undefined : { text: received.toString("utf8", start, end), end };
}

/** Without chunk extensions and trailers, which no server here sends. */
function chunksAt(received: Buffer, start: number): { text: string; end: number } | undefined {
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = received.indexOf(LINE_END, at);
    if (lineEnd < 0) return undefined;
    const from = lineEnd + LINE_END.length;
    const size = Number.parseInt(received.toString("latin1", at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error("an answer without a length, and without chunks");
    at = from + size + LINE_END.length;
    if (received.length < at) return undefined;
    if (size === 0) return { text: Buffer.concat(parts).toString("utf8"), end: at };
    parts.push(received.subarray(from, from + size));
  }
}
