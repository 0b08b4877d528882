import { request } from "node:http";
import { createServer } from "node:https";
import { connect } from "node:net";

import { makeCertificate } from "./certificate.ts";

export interface SubPathProxy {
  /** Without a trailing slash. */
  readonly url: string;
  /** Its certificate, for `localhost` and 127.0.0.1. */
  readonly ca: Buffer;
  stop(): Promise<void>;
}

/** Chromium reaches it at this name, of which browsers make no exceptions, as they do for `localhost`. */
const host = "gate.example.test";
export const proxyHostRule = `--host-resolver-rules=MAP ${host} 127.0.0.1`;

/**
 * A TLS proxy on `port`, with a certificate of its own. What is under `/gate` goes to the target, without that prefix. The
 * metadata of an issuer with that path go there as they are asked for.
 */
export async function startSubPathProxy(port: number, target: number): Promise<SubPathProxy> {
  const { certificate: cert, key } = makeCertificate();
  const targetPath = (path = "/") => {
    if (/^\/\.well-known\/[a-z-]+\/gate$/.test(path)) return path;
    return path.startsWith("/gate/") ? path.slice("/gate".length) : undefined;
  };
  const server = createServer({ cert, key }, (incoming, answer) => {
    const path = targetPath(incoming.url);
    if (path === undefined) return void answer.writeHead(404).end();
    const { method } = incoming;
    const headers = { ...incoming.headers, "x-forwarded-for": incoming.socket.remoteAddress ?? "" };
    const outgoing = request({ host: "127.0.0.1", port: target, path, method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on("error", () => answer.destroy());
    incoming.pipe(outgoing);
  });
  server.on("upgrade", ({ url, rawHeaders }, client, head) => {
    const upstream = connect(target, "127.0.0.1", () => {
      const lines = rawHeaders.map((text, place) => (place % 2 === 0 ? `${text}: ` : `${text}\r\n`));
      upstream.write(`GET ${targetPath(url) ?? "/"} HTTP/1.1\r\n${lines.join("")}\r\n`);
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    upstream.on("error", () => client.destroy());
    client.on("error", () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: subPathUrl(port), ca: cert, stop };
}

/** Where clients find what is behind the proxy on `port`. */
export function subPathUrl(port: number): string {
  return `https://${host}:${port}/gate`;
}
