import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { storeFileName } from "../../../src/store/embedded/files.ts";

/**
 * What a process did to the store's file, and what it acknowledged. `begin` and `end` are line numbers of the trace.
 */
export type Recorded =
  | {
      readonly kind: "write";
      readonly begin: number;
      readonly end: number;
      readonly offset: number;
      readonly bytes: Buffer;
      /** Through the descriptor that syncs: durable once the call returns. */
      readonly synchronous: boolean;
    }
  | { readonly kind: "sync"; readonly begin: number; readonly end: number }
  /** The file got its name, in memory; or the names in its folder were synced. */
  | { readonly kind: "named" | "names_synced"; readonly begin: number; readonly end: number }
  | { readonly kind: "acknowledged"; readonly begin: number; readonly n: number };

const script = fileURLToPath(new URL("../committing-process.ts", import.meta.url));
const hooks = fileURLToPath(new URL("../../support/typescript.mjs", import.meta.url));
const calls = "openat,lseek,pwrite64,writev,write,fdatasync,fsync,link,linkat";
const folderName = "data";

/**
 * Runs the committing process in `folder` under strace until it has acknowledged `commits` commits, kills it, and reads
 * the trace. lmdb writes with these calls only, because its map is read-only. Under whatever name, it is one file.
 */
export async function record(folder: string, commits: number): Promise<readonly Recorded[]> {
  const trace = path.join(folder, "trace");
  const options = ["-f", "-y", "-xx", "-s", "1048576", "-e", `trace=${calls}`, "-o", trace];
  const data = path.join(folder, folderName);
  const child = spawn("strace", [...options, process.execPath, "--import", hooks, script, data, "0", "3"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  let tracee = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("ready ")) tracee = Number(line.slice("ready ".length));
    if (line === `ok ${commits}`) process.kill(tracee, "SIGKILL");
  }
  await exited;
  return await readTrace(trace);
}

async function readTrace(file: string): Promise<readonly Recorded[]> {
  const reader = new TraceReader();
  for await (const line of createInterface({ input: createReadStream(file) })) reader.line(line);
  return reader.recorded;
}

interface Call {
  readonly begin: number;
  readonly text: string;
}

/** Lines of strace: `TID name(arguments) = result`. An interrupted call takes two lines. */
class TraceReader {
  readonly recorded: Recorded[] = [];
  readonly #unfinished = new Map<string, Call>();
  readonly #synchronous = new Set<string>();
  readonly #places = new Map<string, number>();
  #at = 0;

  line(line: string): void {
    this.#at += 1;
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const begun = this.#unfinished.get(thread);
    if (resumed !== null && begun !== undefined) {
      this.#unfinished.delete(thread);
      this.#call(begun.begin, begun.text + resumed[1]);
    } else if (rest.endsWith(" <unfinished ...>")) {
      this.#unfinished.set(thread, { begin: this.#at, text: rest.slice(0, -" <unfinished ...>".length) });
    } else this.#call(this.#at, rest);
  }

  #call(begin: number, text: string): void {
    const [, name, descriptor = "", where = ""] = /^(\w+)\((\d+)<([^>]*)>/.exec(text) ?? [];
    const span = { begin, end: this.#at };
    if (text.startsWith("openat(")) this.#opened(text);
    else if (name === "write" && descriptor === "1") this.#said(begin, text);
    else if (name === undefined && /^link(at)?\(.* = 0$/.test(text))
      this.recorded.push({ kind: "named", ...span });
    else if (name === "fsync" && path.basename(bytesOf(where).toString()) === folderName)
      this.recorded.push({ kind: "names_synced", ...span });
    else if (!isStore(bytesOf(where).toString())) return;
    else if (name === "lseek") this.#places.set(descriptor, Number(/= (\d+)/.exec(text)?.[1]));
    else if (name === "fdatasync" || name === "fsync") this.recorded.push({ kind: "sync", ...span });
    else if (name === "pwrite64" || name === "writev") this.#wrote(descriptor, text, span);
    else throw new Error(`the store's file was written by ${name}`);
  }

  #opened(text: string): void {
    const [, descriptor, where = ""] = /= (\d+)<([^>]*)>/.exec(text) ?? [];
    // Another process of the trace, the compiler's, uses the same descriptor numbers.
    if (descriptor === undefined || !isStore(bytesOf(where).toString())) return;
    if (text.includes("O_DSYNC")) this.#synchronous.add(descriptor);
    else this.#synchronous.delete(descriptor);
    this.#places.set(descriptor, 0);
  }

  #said(begin: number, text: string): void {
    const n = /^ok (\d+)\n$/.exec(stringsOf(text)[0]?.toString() ?? "")?.[1];
    if (n !== undefined) this.recorded.push({ kind: "acknowledged", begin, n: Number(n) });
  }

  #wrote(descriptor: string, text: string, span: { readonly begin: number; readonly end: number }): void {
    // Killed during the call: as good as not begun.
    if (/\)\s+= \?/.test(text)) return;
    const bytes = Buffer.concat(stringsOf(text));
    // The result of an interrupted call is preceded by more than one blank.
    const offset = text.startsWith("pwrite64")
      ? Number(/, (\d+)\)\s+= \d+$/.exec(text)?.[1])
      : this.#places.get(descriptor);
    if (offset === undefined || Number.isNaN(offset))
      throw new Error(`a write to the store's file at an unknown place: ${text.slice(-120)}`);
    if (text.startsWith("writev")) this.#places.set(descriptor, offset + bytes.length);
    const synchronous = this.#synchronous.has(descriptor);
    this.recorded.push({ kind: "write", ...span, offset, bytes, synchronous });
  }
}

function isStore(file: string): boolean {
  const name = path.basename(file);
  return name === storeFileName || (name.startsWith(`${storeFileName}.`) && name.endsWith(".new"));
}

function stringsOf(text: string): readonly Buffer[] {
  return [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, escaped = ""]) => bytesOf(escaped));
}

function bytesOf(escaped: string): Buffer {
  return Buffer.from(escaped.replaceAll("\\x", ""), "hex");
}
