import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export type Direction = "toServer" | "toClient";

/** A TCP proxy on a free loopback port that injects network faults. */
export interface FaultProxy {
  readonly port: number;
  /** Ends every fault. What a black hole held back is delivered, as TCP's retransmission would. */
  pass(): void;
  /** Drops bytes of this direction silently, on open and new connections, which stay open. */
  blackHole(direction: Direction | "both"): void;
  /** A black hole in both directions for connections from matching addresses. */
  separate(isApart: (source: string) => boolean): void;
  /** A black hole in both directions for every connection that sends this text from now on. */
  separateSenders(text: string): void;
  /** Replaces every chunk of this direction by the result; the rest is lost for good. */
  remove(direction: Direction, left: (chunk: Buffer) => Buffer): void;
  /** Resets every connection that sends this text. */
  resetSenders(text: string): void;
  /** Delays every chunk in both directions. */
  delay(ms: number): void;
  /** Closes the open connections; new ones pass. */
  cut(): void;
  /** Closes the open connections with a reset; new ones pass. */
  reset(): void;
  /** Resets the open connections and every new one, until `pass`. */
  refuse(): void;
  /** How many connections are open. */
  readonly connections: number;
  stop(): Promise<void>;
}

interface Faults {
  readonly held: Set<Direction>;
  isApart: (source: string) => boolean;
  text: string | undefined;
  left: Partial<Record<Direction, (chunk: Buffer) => Buffer>>;
  fatal: string | undefined;
  delayMs: number;
  refusing: boolean;
}

const nobody = () => false;

/** The target is read again for every connection. */
export async function startFaultProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<FaultProxy> {
  const faults: Faults = {
    held: new Set(),
    isApart: nobody,
    text: undefined,
    left: {},
    fatal: undefined,
    delayMs: 0,
    refusing: false,
  };
  const links = new Set<Link>();
  const server = createServer({ noDelay: true }, (client) => {
    if (faults.refusing) return void client.resetAndDestroy();
    const link = new Link(client, connect({ ...target, noDelay: true }), faults);
    links.add(link);
    client.once("close", () => links.delete(link));
  });
  const port = await listen(server);
  const closeAll = (how: "destroy" | "resetAndDestroy") => {
    for (const link of links) link.close(how);
  };
  return {
    port,
    get connections() {
      return links.size;
    },
    pass() {
      faults.held.clear();
      faults.isApart = nobody;
      faults.text = undefined;
      faults.left = {};
      faults.fatal = undefined;
      faults.delayMs = 0;
      faults.refusing = false;
      for (const link of links) link.flow();
    },
    blackHole(direction) {
      for (const one of ["toServer", "toClient"] as const) {
        if (direction === one || direction === "both") faults.held.add(one);
      }
    },
    separate(isApart) {
      faults.isApart = isApart;
    },
    separateSenders(text) {
      faults.text = text;
    },
    remove(direction, left) {
      faults.left[direction] = left;
    },
    resetSenders(text) {
      faults.fatal = text;
    },
    delay(ms) {
      faults.delayMs = ms;
    },
    cut: () => closeAll("destroy"),
    reset: () => closeAll("resetAndDestroy"),
    refuse() {
      faults.refusing = true;
      closeAll("resetAndDestroy");
    },
    async stop() {
      closeAll("destroy");
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #source: string;
  readonly #faults: Faults;
  readonly #waiting: Record<Direction, Buffer[]> = { toServer: [], toClient: [] };
  readonly #late: Record<Direction, Buffer[]> = { toServer: [], toClient: [] };
  #hasSent = false;

  constructor(client: Socket, server: Socket, faults: Faults) {
    this.#client = client;
    this.#server = server;
    this.#source = client.remoteAddress ?? "";
    this.#faults = faults;
    client.on("data", (chunk: Buffer) => this.#arrived("toServer", chunk));
    server.on("data", (chunk: Buffer) => this.#arrived("toClient", chunk));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      // `close` passes on the other side's end, whatever the error was.
      one.on("error", () => undefined);
      one.on("close", () => this.#ended(other));
    }
  }

  close(how: "destroy" | "resetAndDestroy"): void {
    this.#client[how]();
    this.#server[how]();
  }

  flow(): void {
    this.#hasSent = false;
    for (const direction of ["toServer", "toClient"] as const) {
      for (const chunk of this.#waiting[direction].splice(0)) this.#write(direction, chunk);
    }
  }

  /** In a black hole the other side's end is not passed on either. */
  #ended(other: Socket): void {
    if (this.#faults.held.size === 0 && !this.#isApart) other.destroy();
    else other.once("data", () => other.destroy());
  }

  get #isApart(): boolean {
    return this.#hasSent || this.#faults.isApart(this.#source);
  }

  #arrived(direction: Direction, whole: Buffer): void {
    const { text, fatal } = this.#faults;
    const chunk = this.#faults.left[direction]?.(whole) ?? whole;
    if (chunk.length === 0) return;
    if (direction === "toServer" && fatal !== undefined && chunk.includes(fatal)) {
      this.close("resetAndDestroy");
      return;
    }
    if (direction === "toServer" && text !== undefined && chunk.includes(text)) this.#hasSent = true;
    const late = this.#late[direction];
    if (this.#faults.delayMs === 0 && late.length === 0) {
      this.#pass(direction, chunk);
      return;
    }
    late.push(chunk);
    // Whichever timer fires, the first chunk goes: when a delay ends, nothing may overtake, or it would not be TCP.
    setTimeout(() => {
      const first = late.shift();
      if (first !== undefined) this.#pass(direction, first);
    }, this.#faults.delayMs);
  }

  #pass(direction: Direction, chunk: Buffer): void {
    if (this.#isApart || this.#faults.held.has(direction)) this.#waiting[direction].push(chunk);
    else this.#write(direction, chunk);
  }

  #write(direction: Direction, chunk: Buffer): void {
    const socket = direction === "toServer" ? this.#server : this.#client;
    if (!socket.destroyed) socket.write(chunk);
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
}
