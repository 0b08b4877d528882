import type { Tokens } from "./tokens.ts";

interface Socket {
  on(event: "ping", listener: (acknowledge: (answer: string) => void) => void): void;
  on(event: "subscribe", listener: (topic: string, acknowledge: (answer: null) => void) => void): void;
  on(event: "publish", listener: (topic: string, data: unknown) => void): void;
  join(room: string): unknown;
  readonly handshake: { readonly auth: { readonly token?: unknown } };
  readonly data: { user?: string };
}

interface Namespace {
  use(middleware: (socket: Socket, next: (error?: Error) => void) => void): unknown;
  on(event: "connection", listener: (socket: Socket) => void): unknown;
  to(room: string): { emit(event: string, ...details: readonly unknown[]): unknown };
}

/**
 * A JWT in `handshake.auth`, checked in a middleware of the namespace. Authenticated clients get answers to pings, and
 * publish to rooms: its way to send to many.
 */
export function authenticateSockets(io: Namespace, tokens: Tokens): void {
  io.use((socket, next) => {
    try {
      socket.data.user = tokens.verify(socket.handshake.auth.token).sub;
    } catch {
      return next(new Error("unauthorized"));
    }
    next();
  });
  io.on("connection", (socket) => {
    socket.on("ping", (acknowledge) => acknowledge("pong"));
    socket.on("subscribe", (topic, acknowledge) => {
      socket.join(topic);
      acknowledge(null);
    });
    socket.on("publish", (topic, data) => {
      io.to(topic).emit("event", { topic, data, time: Date.now() });
    });
  });
}
