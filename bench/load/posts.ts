// The load generator for HTTP: a closed model over kept-alive connections.
import { answer } from "../support/answering.ts";
import { latencies } from "../support/figures.ts";
import { HttpConnection } from "./http-connection.ts";

/** A POST whose answer is 200 or 201, as a server describes it. */
export interface Post {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface PostsJob extends Post {
  readonly port: number;
  /** Appended to the body, percent-encoded, one for each request. */
  readonly tails: readonly string[];
  readonly inFlight: number;
  /** The member of each answer's JSON that is returned: the newest refresh tokens. Default: none. */
  readonly keep?: string;
  /** What every answer must have, so that a refusal inside a 200 is not counted as an answer. */
  readonly contains?: string;
}

function requestOf({ port, path, headers, body }: PostsJob, tail: string): Buffer {
  const content = body + encodeURIComponent(tail);
  const fields = {
    host: `127.0.0.1:${port}`,
    ...headers,
    "content-length": String(Buffer.byteLength(content)),
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${content}`);
}

/** Requests are made before the clock starts. */
async function posts(job: PostsJob) {
  const requests = job.tails.map((tail) => requestOf(job, tail));
  const took: number[] = [];
  const texts: string[] = [];
  const started = performance.now();
  let next = 0;
  const worker = async () => {
    const connection = new HttpConnection(job.port);
    for (let nth = next++; nth < requests.length; nth = next++) {
      const from = performance.now();
      const { status, text } = await connection.exchange(requests[nth] ?? Buffer.alloc(0));
      took.push(performance.now() - from);
      const isGood = status === 200 || status === 201;
      if (!isGood || !text.includes(job.contains ?? ""))
        throw new Error(`${job.path} answered ${status}: ${text.slice(0, 300)}`);
      if (job.keep !== undefined) texts[nth] = text;
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: job.inFlight }, worker));
  const seconds = (performance.now() - started) / 1000;
  const kept = texts.map((text, nth) => JSON.parse(text)[job.keep ?? ""] ?? job.tails[nth]);
  return { seconds, latencies: latencies(took), kept };
}

answer({ port: 0, version: "" }, { posts });
