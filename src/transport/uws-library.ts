import { createRequire } from "node:module";

/** The package's own name, under which the official build and the npm alias are installed alike. */
const PACKAGE = "uWebSockets.js";

export interface UwsRequest {
  getUrl(): string;
  getMethod(): string;
  getQuery(): string | undefined;
  forEach(field: (name: string, value: string) => void): void;
}

export interface UwsResponse {
  getRemoteAddress(): ArrayBuffer;
  onAborted(aborted: () => void): void;
  onData(data: (chunk: ArrayBuffer, last: boolean) => void): void;
  cork(writes: () => void): void;
  writeStatus(status: string): void;
  writeHeader(name: string, value: string): void;
  end(body?: string | Uint8Array, closeConnection?: boolean): void;
  endWithoutBody(): void;
  close(): void;
  /** The fields of `data` become fields of the WebSocket. `open` is called before it returns. */
  upgrade(data: object, key: string, protocol: string, extensions: string, context: UwsContext): void;
}

declare const opaque: unique symbol;
export interface UwsContext {
  readonly [opaque]: "context";
}
export interface UwsListenSocket {
  readonly [opaque]: "listen socket";
}

/** Every method throws once `close` was called. */
export interface UwsWebSocket {
  /** 0: buffered, back-pressure; 1: sent; 2: dropped. */
  send(message: string | Uint8Array, isBinary: boolean, compress: boolean): number;
  /** What is sent inside `writes` goes out as one write. */
  cork(writes: () => void): void;
  ping(): number;
  getBufferedAmount(): number;
  end(code: number, reason: string): void;
  close(): void;
}

export interface UwsBehavior<Data> {
  readonly maxPayloadLength: number;
  readonly idleTimeout: number;
  readonly maxBackpressure: number;
  readonly closeOnBackpressureLimit: boolean;
  readonly sendPingsAutomatically: boolean;
  readonly maxLifetime: number;
  upgrade(response: UwsResponse, request: UwsRequest, context: UwsContext): void;
  open(ws: UwsWebSocket & Data): void;
  message(ws: UwsWebSocket & Data, message: ArrayBuffer, isBinary: boolean): void;
  drain(ws: UwsWebSocket & Data): void;
  ping(ws: UwsWebSocket & Data): void;
  pong(ws: UwsWebSocket & Data): void;
  close(ws: UwsWebSocket & Data, code: number, message: ArrayBuffer): void;
}

export interface UwsApp {
  ws<Data>(path: string, behavior: UwsBehavior<Data>): void;
  any(path: string, handler: (response: UwsResponse, request: UwsRequest) => void): void;
  listen(
    host: string,
    port: number,
    options: number,
    listening: (socket: UwsListenSocket | false) => void,
  ): void;
  /** Destroys every connection. Absent in older builds. */
  close?(): void;
}

export interface UwsLibrary {
  App(): UwsApp;
  us_listen_socket_close(socket: UwsListenSocket): void;
  us_socket_local_port(socket: UwsListenSocket): number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
  _cfg?(setting: string): void;
}

/**
 * Loads uWebSockets.js. Rejects, naming the package, when it is not installed, and when what answers to its name is
 * not the native binding: the npm build falls back to an imitation in JavaScript with no more than a warning.
 */
export async function loadUws(name = PACKAGE): Promise<UwsLibrary> {
  const library = await importPackage(name);
  if (!isLibrary(library) || !isNative(library))
    throw new Error(
      `${name} has no native binding for ${process.platform} ${process.arch} on Node ${process.versions.node}` +
        " (its JavaScript fallback is refused); use the ws transport",
    );
  return library;
}

async function importPackage(name: string): Promise<unknown> {
  try {
    const loaded: { default?: unknown } = await import(name);
    return loaded.default ?? loaded;
  } catch (cause) {
    throw new Error(`the uws transport needs the package ${name}, which could not be loaded`, { cause });
  }
}

function isLibrary(value: unknown): value is UwsLibrary {
  return typeof value === "object" && value !== null && "App" in value && "us_listen_socket_close" in value;
}

/** True when these very exports are those of a `.node` file that this process has loaded. */
function isNative(library: UwsLibrary): boolean {
  const loaded = createRequire(import.meta.url).cache;
  return Object.entries(loaded).some(
    ([file, entry]) => file.endsWith(".node") && entry !== undefined && entry.exports === library,
  );
}
