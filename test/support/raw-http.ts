import { type Place, RawSocket } from "./raw-socket.ts";

export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** The header fields of an answer by lower-case name; repeated ones are joined. */
export function fieldsOf({ head }: RawAnswer): Readonly<Record<string, string>> {
  const fields = new Headers();
  for (const line of head.trimEnd().split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    fields.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return Object.fromEntries(fields);
}

/** Reads one answer with a Content-Length, or without a body, from a raw connection. */
export async function readAnswer(raw: RawSocket, bodiless = false): Promise<RawAnswer> {
  const head = await raw.head();
  const length = bodiless ? 0 : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  const body = (await raw.bytes(length)).toString("latin1");
  return { status: Number(head.slice(9, 12)), head, body };
}

/** Sends `text` on a connection of its own and reads one answer. */
export async function ask(at: number | Place, text: string, bodiless = false): Promise<RawAnswer> {
  const raw = await RawSocket.connect(at);
  try {
    raw.write(text);
    return await readAnswer(raw, bodiless);
  } finally {
    raw.destroy();
  }
}
