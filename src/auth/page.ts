/** A part of a list in the order of its members' ids. */
export interface PageRequest {
  /** Members with higher ids only. */
  readonly after: string | undefined;
  /** At least 1. */
  readonly limit: number;
}
