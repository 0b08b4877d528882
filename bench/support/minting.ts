import type { Child } from "./child.ts";

/** What is asked of every server: tokens that it has not seen, `bytes` long or up to two shorter, so that all work alike. */
export interface Mint {
  readonly n: number;
  readonly bytes: number;
}

/** The claim that brings a token to `bytes`, given its length without; base64 makes four bytes of three. */
export function padding(bytes: number, without: number): string {
  return "x".repeat(Math.max(0, Math.floor(((bytes - without) * 3) / 4)));
}

/** In portions, so that neither side has to hold all of them as one message. */
export async function minted(server: Child, count: number, bytes: number): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < count) {
    const wanted: Mint = { n: Math.min(500, count - tokens.length), bytes };
    tokens.push(...(await server.ask<string[]>("mint", wanted)));
  }
  return tokens;
}
