import { randomBytes } from "node:crypto";

/** A new id: 128 random bits as 32 hex digits, Home Assistant's form (uuid4 without dashes). Ids are never reused. */
export function newId(): string {
  return randomBytes(16).toString("hex");
}
