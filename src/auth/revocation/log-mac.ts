import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";

import type { JsonObject, JsonValue } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";

/**
 * The MAC of log entries. Without the installation's secret, whoever can write to the store can invent neither a
 * revocation nor a heartbeat. NOT covered: entries that are removed or replayed, and an entry's position and
 * version, which the store assigns. A replayed heartbeat is ignored. A revocation that is replayed unchanged
 * changes nothing. Replayed with a higher version, it ends newer sessions of the same user, client or installation
 * too, and a replayed audit record is written again: a writer to the store can disconnect people, but lets nobody
 * in.
 */
export interface LogMac {
  /** The event with its MAC. */
  withMac(event: JsonObject): JsonObject;
  /** Whether this installation made the event, and nobody changed it since. */
  verify(event: JsonObject): boolean;
}

/** 128 bits: the minimum of RFC 2104 section 5 for a truncated HMAC-SHA256. */
const macBytes = 16;

/** HMAC-SHA256 over the event's canonical text: JSON without blanks, keys in order of their UTF-16 units, without `mac`. */
export function createLogMac(sealing: Pick<Sealing, "derive">): LogMac {
  const key = createSecretKey(sealing.derive("log entries 1"));
  const macOf = (event: JsonObject) => {
    const { mac: _, ...covered } = event;
    return createHmac("sha256", key).update(canonicalText(covered)).digest().subarray(0, macBytes);
  };
  return {
    withMac(event) {
      return { ...event, mac: macOf(event).toString("base64url") };
    },
    verify(event) {
      if (typeof event.mac !== "string") return false;
      const given = Buffer.from(event.mac, "base64url");
      return given.length === macBytes && timingSafeEqual(given, macOf(event));
    },
  };
}

function canonicalText(value: JsonValue | undefined): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  if (isList(value)) return `[${value.map(canonicalText).join(",")}]`;
  const fields = Object.keys(value)
    .filter((name) => value[name] !== undefined)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalText(value[name])}`);
  return `{${fields.join(",")}}`;
}

function isList(value: JsonObject | readonly JsonValue[]): value is readonly JsonValue[] {
  return Array.isArray(value);
}
