import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as secure } from "node:tls";
import { within } from "./within.ts";

export const handshakeKey = "dGhlIHNhbXBsZSBub25jZQ==";

/** The text of an upgrade request. A header that is `undefined` is left out. */
export function upgradeText(path: string, headers: Record<string, string | undefined> = {}): string {
  const all: Record<string, string | undefined> = {
    Host: "gate.test",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": handshakeKey,
    "Sec-WebSocket-Version": "13",
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  return `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

export interface FrameOptions {
  /** Sets the mask bit, with a zero key. Default: true, as a client must. */
  readonly masked?: boolean;
  /** Length in the header. Default: the payload's. */
  readonly length?: number;
}

/** One frame: `head` is the first byte (FIN, RSV, opcode). A string payload is latin1. */
export function frame(head: number, payload: string | Uint8Array = "", options: FrameOptions = {}): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "latin1") : Buffer.from(payload);
  const length = options.length ?? body.length;
  const mask = (options.masked ?? true) ? 0x80 : 0;
  const key = mask === 0 ? Buffer.alloc(0) : Buffer.alloc(4);
  return Buffer.concat([Buffer.from([head]), lengthBytes(length, mask), key, body]);
}

function lengthBytes(length: number, mask: number): Buffer {
  if (length < 126) return Buffer.from([mask | length]);
  const short = length < 65536;
  const bytes = Buffer.alloc(short ? 3 : 9);
  bytes[0] = mask | (short ? 126 : 127);
  if (short) bytes.writeUInt16BE(length, 1);
  else bytes.writeBigUInt64BE(BigInt(length), 1);
  return bytes;
}

export function closeFrame(code: number, reason = ""): Buffer {
  return frame(0x88, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason, "latin1")]));
}

/** A frame from a server, which is not masked. */
export interface ReceivedFrame {
  readonly head: number;
  readonly payload: Buffer;
}

/** A port of this machine, with TLS if `tls` is set. */
export interface Place {
  readonly port: number;
  readonly tls?: Pick<ConnectionOptions, "ca" | "minVersion" | "maxVersion" | "ciphers" | "ALPNProtocols">;
}

/**
 * A TCP or TLS client with full control: it writes what it is told, records what arrives, and closes nothing by itself.
 */
export class RawSocket {
  readonly #socket: Socket;
  /** The TCP connection. */
  readonly #wire: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;
  /** Resolves once the connection is gone; never rejects. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, wire: Socket) {
    this.#socket = socket;
    this.#wire = wire;
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()));
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  /** Rejects if the TLS handshake fails. */
  static async connect(at: number | Place, host = "127.0.0.1"): Promise<RawSocket> {
    const { port, tls }: Place = typeof at === "number" ? { port: at } : at;
    const wire = connect({ port, host, allowHalfOpen: true, noDelay: true });
    const socket = tls === undefined ? wire : secure({ ...tls, host, socket: wire });
    const raw = new RawSocket(socket, wire);
    const open = new Promise((resolve, reject) => {
      socket.once(tls === undefined ? "connect" : "secureConnect", resolve);
      socket.once("error", reject);
    });
    await within(open, "a connection");
    return raw;
  }

  /** Connects and upgrades. Rejects if the answer is not 101. */
  static async upgrade(
    at: number | Place,
    path: string,
    headers?: Record<string, string>,
  ): Promise<RawSocket> {
    const raw = await RawSocket.connect(at);
    raw.write(upgradeText(path, headers));
    const answer = await raw.head();
    if (!answer.startsWith("HTTP/1.1 101")) throw new Error(`no upgrade: ${answer}`);
    return raw;
  }

  write(bytes: string | Uint8Array): void {
    this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Everything that has arrived and was not taken. */
  get text(): string {
    return this.#received.toString("latin1");
  }

  /** True once the server has sent FIN or the connection is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes one HTTP head (up to the empty line). */
  async head(): Promise<string> {
    await this.#until(() => this.text.includes("\r\n\r\n"), "an HTTP head");
    const end = this.text.indexOf("\r\n\r\n") + 4;
    if (end === 3) throw new Error(`ended without an HTTP head: ${JSON.stringify(this.text)}`);
    return this.take(end).toString("latin1");
  }

  /** Takes one frame; undefined if the server ended without one. */
  async frame(): Promise<ReceivedFrame | undefined> {
    await this.#until(() => this.#frameLength() !== undefined, "a frame");
    const size = this.#frameLength();
    if (size === undefined) return undefined;
    const bytes = this.take(size.header + size.payload);
    return { head: bytes[0] ?? 0, payload: bytes.subarray(size.header) };
  }

  async bytes(count: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= count, `${count} bytes`);
    return this.take(count);
  }

  /** Resolves once the server has ended its side. */
  async end(ms?: number): Promise<void> {
    await this.#until(() => false, "the end of the connection", ms);
  }

  take(count: number): Buffer {
    const taken = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return taken;
  }

  /** Stops reading: first the kernel's buffers fill up, then the server's. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends this side with FIN. Reading continues. */
  finish(): void {
    this.#socket.end();
  }

  /** Ends with RST. */
  reset(): void {
    this.#wire.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Writes `bytes` repeatedly until the server's side is really gone, at most `ms`. */
  async writeUntilGone(bytes: Uint8Array, ms: number): Promise<void> {
    const timer = setInterval(() => this.#socket.write(bytes), 50);
    await within(this.closed, "the server to let go of the connection", ms).finally(() =>
      clearInterval(timer),
    );
  }

  /** Writes `bytes` repeatedly, and returns how often the kernel accepted them before the connection was gone. */
  async writeUntilEnd(bytes: Uint8Array): Promise<number> {
    let taken = 0;
    const flood = async () => {
      for (;;) {
        await new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve()));
        // The callback of an interrupted write gets no error.
        if (this.#socket.destroyed) return;
        taken += 1;
      }
    };
    await within(flood(), "the server to let go of the connection");
    return taken;
  }

  #frameLength(): { header: number; payload: number } | undefined {
    const bytes = this.#received;
    if (bytes.length < 2) return undefined;
    const short = (bytes[1] ?? 0) & 0x7f;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < header) return undefined;
    const payload =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    return bytes.length < header + payload ? undefined : { header, payload };
  }

  async #until(there: () => boolean, what: string, ms?: number): Promise<void> {
    const arrival = (async () => {
      while (!there() && !this.#ended) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    })();
    await within(arrival, what, ms);
  }
}
