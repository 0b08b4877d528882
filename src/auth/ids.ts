import { randomUUID } from "node:crypto";

/**
 * A new id: Home Assistant's form, a random UUID (version 4, 122 random bits) without dashes. Ids are never reused. An id
 * is no secret. Node draws the randomness of many UUIDs at once, so one costs a small part of `randomBytes`.
 */
export function newId(): string {
  return randomUUID().replaceAll("-", "");
}

/** The id of nothing: read in place of one that does not exist, so that as much is read. */
export const nobodysId = "0".repeat(32);
