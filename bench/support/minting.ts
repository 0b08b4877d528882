import type { Child } from "./child.ts";

/**
 * The request to every server for unused tokens, `bytes` long or up to two shorter, so that all servers do the same
 * work.
 */
export interface Mint {
  readonly n: number;
  readonly bytes: number;
}

/** The claim that extends a token to `bytes`, given its length without it; base64 makes four bytes of three. */
export function padding(bytes: number, without: number): string {
  return "x".repeat(Math.max(0, Math.floor(((bytes - without) * 3) / 4)));
}

/** In batches, so that neither side holds all of them in one message. */
export async function minted(server: Child, count: number, bytes: number): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < count) {
    const wanted: Mint = { n: Math.min(500, count - tokens.length), bytes };
    tokens.push(...(await server.ask<string[]>("mint", wanted)));
  }
  return tokens;
}
