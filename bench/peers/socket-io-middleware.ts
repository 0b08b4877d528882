import type { Tokens } from "./tokens.ts";

interface Socket {
  on(event: "ping", listener: (acknowledge: (answer: string) => void) => void): void;
  readonly handshake: { readonly auth: { readonly token?: unknown } };
  readonly data: { user?: string };
}

interface Namespace {
  use(middleware: (socket: Socket, next: (error?: Error) => void) => void): unknown;
  on(event: "connection", listener: (socket: Socket) => void): unknown;
}

/** A JWT in `handshake.auth`, checked in a middleware of the namespace. Authenticated clients get answers to pings. */
export function authenticateSockets(io: Namespace, tokens: Tokens): void {
  io.use((socket, next) => {
    try {
      socket.data.user = tokens.verify(socket.handshake.auth.token).sub;
    } catch {
      return next(new Error("unauthorized"));
    }
    next();
  });
  io.on("connection", (socket) => socket.on("ping", (acknowledge) => acknowledge("pong")));
}
