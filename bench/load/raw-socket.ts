import { connect, type Socket } from "node:net";

export interface Target {
  readonly port: number;
  readonly path: string;
  readonly subprotocol?: string;
}

/** Source addresses are used in turn: the server sees several clients, and no address runs out of ports. */
const SOURCES = 32;
/**
 * Ports are assigned in turn, below the kernel's ephemeral range. If the kernel chooses one for a bound address, it
 * searches a quarter of its range, which TIME_WAIT fills within seconds, and spends milliseconds on it.
 */
const FIRST_PORT = 12_000;
const PORTS = 20_000;

const TEXT = 0x1;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;

/**
 * A minimal WebSocket client: the mask is zero (the server unmasks all the same), the server's frames are not checked,
 * there are no fragments. It must be cheaper than every server that it loads.
 */
export class RawSocket {
  onOpen: () => void = nothing;
  onText: (text: string) => void = nothing;
  /**
   * Close code of the server's close frame; 1006 without one. `fault` is the operating system's code, if there was one.
   */
  onClose: (code: number, fault?: string) => void = nothing;
  /** Called as soon as the server's close frame arrives. */
  onCloseFrame: () => void = nothing;
  readonly #socket: Socket;
  #open = false;
  #rest: Buffer | undefined;
  #closeCode = 1006;
  #fault: string | undefined;

  /**
   * `nth`: number of the connection in this process. Numbers that repeat within a second may get a port that is still
   * in use.
   */
  constructor(target: Target, nth: number) {
    this.#socket = connect({ port: target.port, host: "127.0.0.1", ...sourceOf(nth), noDelay: true });
    this.#socket.on("connect", () => this.#socket.write(upgradeRequest(target)));
    this.#socket.on("data", (chunk) => this.#data(chunk));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#fault = error.code;
    });
    this.#socket.on("close", () => this.onClose(this.#closeCode, this.#fault));
  }

  send(frame: Buffer): void {
    this.#socket.write(frame);
  }

  /** Ends at once without a close frame, as a lost client does: with a FIN or with a RST. */
  destroy(how: "fin" | "rst" = "fin"): void {
    this.onClose = nothing;
    if (how === "rst") this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  #data(chunk: Buffer): void {
    let data = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    if (!this.#open) {
      const end = data.indexOf("\r\n\r\n");
      if (end < 0) {
        this.#rest = data;
        return;
      }
      if (data.toString("latin1", 9, 12) !== "101") return void this.#socket.destroy();
      this.#open = true;
      data = data.subarray(end + 4);
      this.onOpen();
    }
    this.#frames(data);
  }

  #frames(data: Buffer): void {
    let at = 0;
    while (at < data.length) {
      const frame = frameAt(data, at);
      if (frame === undefined) {
        this.#rest = data.subarray(at);
        return;
      }
      at = frame.end;
      this.#frame(frame.opcode, data.subarray(frame.start, frame.end));
    }
  }

  #frame(opcode: number, payload: Buffer): void {
    if (opcode === TEXT || opcode === BINARY) this.onText(payload.toString("latin1"));
    else if (opcode === PING) this.send(frameOf(payload, 0xa));
    else if (opcode === CLOSE) this.#closing(payload);
  }

  #closing(payload: Buffer): void {
    this.onCloseFrame();
    if (payload.length >= 2) this.#closeCode = payload.readUInt16BE(0);
    this.send(frameOf(payload.subarray(0, 2), CLOSE));
  }
}

function sourceOf(nth: number) {
  return {
    localAddress: `127.0.0.${2 + (nth % SOURCES)}`,
    localPort: FIRST_PORT + (Math.floor(nth / SOURCES) % PORTS),
  };
}

function frameAt(data: Buffer, at: number) {
  if (data.length < at + 2) return undefined;
  const opcode = (data[at] ?? 0) & 0x0f;
  let length = (data[at + 1] ?? 0) & 0x7f;
  let start = at + 2;
  if (length === 126) {
    if (data.length < at + 4) return undefined;
    length = data.readUInt16BE(at + 2);
    start = at + 4;
  } else if (length === 127) {
    if (data.length < at + 10) return undefined;
    length = Number(data.readBigUInt64BE(at + 2));
    start = at + 10;
  }
  const end = start + length;
  return data.length < end ? undefined : { opcode, start, end };
}

/** A complete masked binary frame with the bytes of a latin1 text. */
export function binaryFrame(text: string): Buffer {
  return frameOf(Buffer.from(text, "latin1"), BINARY);
}

/** A complete masked text frame, so that what is sent often is built once. */
export function textFrame(text: string): Buffer {
  return frameOf(Buffer.from(text), TEXT);
}

function frameOf(payload: Buffer, opcode: number): Buffer {
  const long = payload.length >= 126;
  if (payload.length > 0xffff) throw new RangeError("longer than a benchmark needs");
  const head = Buffer.alloc(long ? 8 : 6);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

const requests = new Map<string, string>();

function upgradeRequest({ path, subprotocol }: Target): string {
  const name = `${path} ${subprotocol}`;
  const known = requests.get(name);
  if (known !== undefined) return known;
  const request = [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
    "\r\n",
  ].join("\r\n");
  requests.set(name, request);
  return request;
}

function nothing(): void {}
