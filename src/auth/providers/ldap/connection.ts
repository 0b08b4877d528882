import { readFile } from "node:fs/promises";
import { connect, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { Client } from "ldapts";

import { ResponseGuard } from "./response-guard.ts";

/** The directory cannot be asked, or what it answers cannot be used. The message has no input in it. */
export class DirectoryError extends Error {}

export interface LdapServer {
  /** `ldap:` or `ldaps:`, host and port. */
  readonly url: URL;
  readonly startTls: boolean;
  /** PEM file with the authorities that may have signed the server's certificate. Absent: those of Node. */
  readonly caFile: string | undefined;
}

/**
 * Opens one connection, does `work` on it and destroys it. Rejects if all of that takes longer than `timeoutMs`. A
 * connection that was lost is not opened again: the library would send a password without StartTLS then.
 */
export async function withConnection<T>(
  server: LdapServer,
  timeoutMs: number,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const opened = new OpenSockets();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not answer within ${timeoutMs} ms`)), timeoutMs);
  });
  const whole = async () => await work(await open(server, opened));
  try {
    return await Promise.race([whole(), late]);
  } finally {
    clearTimeout(timer);
    opened.destroy();
  }
}

/** The sockets of one connection. What is opened after its end, by work that goes on, is destroyed at once. */
class OpenSockets {
  readonly #sockets: Socket[] = [];
  #isOver = false;

  add<Opened extends Socket>(socket: Opened): Opened {
    // The library listens for errors only while it works with the socket.
    socket.on("error", () => undefined);
    if (this.#isOver) socket.destroy();
    else this.#sockets.push(socket);
    return socket;
  }

  destroy(): void {
    this.#isOver = true;
    for (const socket of this.#sockets) {
      socket.on("error", () => undefined);
      socket.destroy();
    }
  }
}

async function open({ url, startTls, caFile }: LdapServer, opened: OpenSockets): Promise<Client> {
  const host = url.hostname.replaceAll(/^\[|\]$/g, "");
  const isSecure = url.protocol === "ldaps:";
  const tls = isSecure || startTls ? await tlsOptions(host, caFile) : undefined;
  const port = Number(url.port === "" ? (isSecure ? 636 : 389) : url.port);
  const socket = opened.add(isSecure ? connectTls({ ...tls, host, port }) : connect({ host, port }));
  await ready(socket, isSecure ? "secureConnect" : "connect");
  const plain = guarded(socket);
  let used = false;
  const client = new Client({
    // The library gets an open socket, so this only has to be an address that it can parse.
    url: "ldap://server",
    createConnection: () => {
      if (used || socket.destroyed) throw new Error("it closed the connection");
      used = true;
      return socket;
    },
    createSecureConnection: ((options: ConnectionOptions) => {
      // What came before the handshake could be anybody's.
      if (plain.incomplete) throw new Error("it sent more than its answer before TLS began");
      const secure = opened.add(connectTls(options));
      guarded(secure);
      return secure;
    }) as typeof connectTls,
  });
  if (tls !== undefined && !isSecure) await client.startTLS(tls);
  return client;
}

async function tlsOptions(host: string, caFile: string | undefined): Promise<ConnectionOptions> {
  return {
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(caFile === undefined ? {} : { ca: await authoritiesIn(caFile) }),
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
  };
}

async function authoritiesIn(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch {
    throw new DirectoryError("ca_file cannot be read");
  }
}

function ready(socket: Socket | TLSSocket, event: "connect" | "secureConnect"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => {
      socket.removeListener("error", reject);
      resolve();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("it closed the connection")));
  });
}

/** The socket's `data` events are whole messages from now on. What is no message ends the connection. */
function guarded(socket: Socket): ResponseGuard {
  const emit = socket.emit.bind(socket) as (event: string, ...values: unknown[]) => boolean;
  const guard = new ResponseGuard((message) => emit("data", message));
  socket.emit = ((event: string, ...values: unknown[]) => {
    if (event !== "data") return emit(event, ...values);
    try {
      guard.read(values[0] as Buffer);
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error("it sent garbage"));
    }
    return true;
  }) as typeof socket.emit;
  return guard;
}
