import { timingSafeEqual } from "node:crypto";

/** Whether two texts are equal. Takes the same time for all texts of one length; the length is not a secret. */
export function isSameText(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
