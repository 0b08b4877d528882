import { request } from "node:http";
import { createServer } from "node:https";
import { connect } from "node:net";

import { makeCertificate } from "./certificate.ts";

export interface SubPathProxy {
  /** Without a trailing slash. */
  readonly url: string;
  stop(): Promise<void>;
}

/** A TLS proxy on `port`, with a certificate of its own. What is under `/gate` goes to the target, without that prefix. */
export async function startSubPathProxy(port: number, target: number): Promise<SubPathProxy> {
  const { certificate: cert, key } = makeCertificate();
  const targetPath = (path = "/") => (path.startsWith("/gate/") ? path.slice("/gate".length) : undefined);
  const server = createServer({ cert, key }, (incoming, answer) => {
    const path = targetPath(incoming.url);
    if (path === undefined) return void answer.writeHead(404).end();
    const { method, headers } = incoming;
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
  return { url: `https://127.0.0.1:${port}/gate`, stop };
}
