import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpuSecondsOf, pinning, residentBytesOf } from "./machine.ts";

/** What a child reports once it is ready; see `answering.ts` for its side. */
export interface Ready {
  readonly port: number;
  readonly version: string;
  /** Pid of the server itself if the child only starts it: a program that does not run on Node. */
  readonly server?: number;
}

/** A server under test or a load generator, in a process of its own. */
export interface Child extends Ready {
  readonly pid: number;
  /** Rejects with the error of the child's handler, or if the child ends before it answers. */
  ask<Answer>(question: string, details?: object): Promise<Answer>;
  cpuSeconds(): number;
  residentBytes(): number;
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly on: "servers" | "load";
  readonly args?: readonly string[];
  /** Flags of Node, before the file. */
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const readyWithinMs = 60_000;
const answeredWithinMs = 120_000;
const exitsWithinMs = 2_000;

export async function startChild(file: string, options: ChildOptions): Promise<Child> {
  const pins = pinning();
  const node = [process.execPath, "--expose-gc", ...(options.nodeFlags ?? []), file, ...(options.args ?? [])];
  const [command = "", ...args] = pins === undefined ? node : ["taskset", "-c", pins[options.on], ...node];
  const process_ = spawn(command, args, {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // As everything that is measured is deployed.
    env: { ...process.env, NODE_ENV: "production", ...options.env },
  });
  const wire = new Wire(process_, file);
  const { port, version, server } = await wire.ready();
  const pid = server ?? process_.pid ?? 0;
  return {
    port,
    version,
    pid,
    ask: (question, details) => wire.ask(question, details),
    cpuSeconds: () => cpuSecondsOf(pid),
    residentBytes: () => residentBytesOf(pid),
    async stop() {
      if (process_.exitCode !== null || process_.signalCode !== null) return;
      const ended = once(process_, "exit");
      // Without its channel the child exits and removes what it created. A child that hangs is killed.
      process_.disconnect();
      const timer = setTimeout(() => process_.kill("SIGKILL"), exitsWithinMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/** Questions and answers over the child's IPC channel. */
class Wire {
  readonly #child: ChildProcess;
  readonly #file: string;
  readonly #waiting = new Map<number, Waiting>();
  #lastWords = "";
  #next = 1;

  constructor(child: ChildProcess, file: string) {
    this.#child = child;
    this.#file = file;
    // Gatehouse logs there. Only the last output matters, if the process ends too early.
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString()).slice(-2000);
    });
    child.on("message", (message: { id?: number; error?: string; answer?: unknown }) => {
      const waiting = this.#waiting.get(message.id ?? 0);
      this.#waiting.delete(message.id ?? 0);
      if (message.error === undefined) waiting?.resolve(message.answer ?? message);
      else waiting?.reject(new Error(`${file}: ${message.error}`));
    });
    const ended = (how: unknown) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`${file} ended (${how}): ${this.#lastWords}`));
      this.#waiting.clear();
    };
    child.on("exit", (code, signal) => ended(code ?? signal));
    child.on("error", (error) => ended(error.message));
  }

  async ready(): Promise<Ready> {
    return (await this.#answerTo(0, readyWithinMs)) as Ready;
  }

  ask<Answer>(question: string, details: object = {}): Promise<Answer> {
    const id = this.#next++;
    const answer = this.#answerTo(id) as Promise<Answer>;
    if (!this.#child.connected)
      return Promise.reject(new Error(`${this.#file} has ended: ${this.#lastWords}`));
    this.#child.send({ id, ask: question, ...details });
    return answer;
  }

  /** A child that does not answer in time is ended, so that a benchmark fails instead of hanging. */
  async #answerTo(id: number, withinMs = answeredWithinMs): Promise<unknown> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), withinMs);
    try {
      return await new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    } finally {
      clearTimeout(timer);
    }
  }
}
