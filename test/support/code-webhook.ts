import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** What the factor `notify` posts. */
export interface CodeMessage {
  readonly user_id: string;
  readonly user_name: string;
  readonly target: string;
  readonly code: string;
  readonly message: string;
}

/** An operator's service that delivers codes. */
export interface CodeWebhook {
  readonly url: string;
  /** What it answers with, and what each answer waits for. */
  status: number;
  holds: Promise<void>;
  /** Every message, in order. */
  readonly received: readonly { readonly headers: IncomingHttpHeaders; readonly body: CodeMessage }[];
  sentTo(userName: string): readonly CodeMessage[];
  /** The code that was sent last, to this user or to anybody. */
  latest(userName?: string): string;
  stop(): Promise<void>;
}

export async function startCodeWebhook(): Promise<CodeWebhook> {
  const received: { readonly headers: IncomingHttpHeaders; readonly body: CodeMessage }[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    received.push({ headers: request.headers, body: JSON.parse(Buffer.concat(parts).toString()) });
    await hook.holds;
    response.writeHead(hook.status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const messages = () => received.map(({ body }) => body);
  const hook: CodeWebhook = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/codes`,
    status: 204,
    holds: Promise.resolve(),
    received,
    sentTo: (userName) => messages().filter(({ user_name }) => user_name === userName),
    latest: (userName) => (userName === undefined ? messages() : hook.sentTo(userName)).at(-1)?.code ?? "",
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return hook;
}

/** A code that is not the one that was sent. */
export const wrongCode = (code: string) => (code === "000000" ? "000001" : "000000");
