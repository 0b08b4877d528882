// The load generator for HTTP: a closed model over kept-alive connections.

import { Agent, request } from "node:http";
import { answer } from "../support/answering.ts";
import { latencies } from "../support/figures.ts";

/** A POST whose answer is 200 or 201, as a server describes it. */
export interface Post {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface PostsJob extends Post {
  readonly port: number;
  /** Appended to the body, one for each request. */
  readonly tails: readonly string[];
  readonly inFlight: number;
}

function post(agent: Agent, { port, path, headers }: PostsJob, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        agent,
        port,
        path,
        host: "127.0.0.1",
        method: "POST",
        headers: { ...headers, "content-length": Buffer.byteLength(body) },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode === 200 || response.statusCode === 201) resolve(text);
          else reject(new Error(`${path} answered ${response.statusCode}: ${text.slice(0, 300)}`));
        });
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Answers are returned only if the job asks for a part of them: the newest refresh tokens. */
async function posts(job: PostsJob & { readonly keep?: string }) {
  const agent = new Agent({ keepAlive: true, maxSockets: job.inFlight });
  const took: number[] = [];
  const kept: string[] = [];
  const started = performance.now();
  let next = 0;
  const worker = async () => {
    for (let nth = next++; nth < job.tails.length; nth = next++) {
      const tail = job.tails[nth] ?? "";
      const from = performance.now();
      const text = await post(agent, job, job.body + encodeURIComponent(tail));
      took.push(performance.now() - from);
      if (job.keep !== undefined) kept[nth] = (JSON.parse(text) as Record<string, string>)[job.keep] ?? tail;
    }
  };
  await Promise.all(Array.from({ length: job.inFlight }, worker));
  const seconds = (performance.now() - started) / 1000;
  agent.destroy();
  return { seconds, latencies: latencies(took), kept };
}

answer({ port: 0, version: "" }, { posts });
