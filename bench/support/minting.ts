/** What is asked of every server: tokens that it has not seen, `bytes` long or up to two shorter, so that all work alike. */
export interface Mint {
  readonly n: number;
  readonly bytes: number;
}

/** The claim that brings a token to `bytes`, given its length without; base64 makes four bytes of three. */
export function padding(bytes: number, without: number): string {
  return "x".repeat(Math.max(0, Math.floor(((bytes - without) * 3) / 4)));
}
