import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import { newId } from "../ids.ts";
import { recordKeys } from "../record-keys.ts";
import { readRecord, type Store } from "../store.ts";

/** The id of this installation. The first node that asks creates it; it never changes. */
export async function instanceId(store: Store, clock: Clock): Promise<string> {
  const known = await readRecord(store, recordKeys.instance);
  if (known !== undefined) return idOf(known.value.id);
  const value = { id: newId(), created_at: clock.now() };
  const outcome = await store.commit({
    check: [{ key: recordKeys.instance, version: 0 }],
    put: [{ key: recordKeys.instance, value }],
  });
  if (outcome.ok) return value.id;
  return idOf((await readRecord(store, recordKeys.instance))?.value.id);
}

function idOf(id: unknown): string {
  if (typeof id === "string") return id;
  throw new AuthError("unavailable", { detail: "the record of this installation is damaged" });
}
