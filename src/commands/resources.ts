import type { RevocationState } from "../../protocol/commands/revoke.ts";
import { AuthError } from "../auth/errors.ts";
import { type ResourceChange, resourceLimits } from "../auth/permissions/resources.ts";
import type { Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { limitsOf } from "./delegates.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";
import { stateOf } from "./revoke.ts";

const defaultPage = 100;

/** What is registered about entities and devices. */
export function resourceCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  return [
    defineCommand("gatehouse/resources/list", authority, async ({ kind, cursor, limit = defaultPage }) => {
      const wanted = kind === "entities" ? "entity" : "device";
      const page = await authority.resources.page(wanted, cursor, limit);
      const next = page.length < limit ? null : (page.at(-1)?.id ?? null);
      return kind === "entities"
        ? {
            entities: page.map(({ id, parent }) => ({ entity_id: id, device_id: parent ?? null })),
            cursor: next,
          }
        : {
            devices: page.map(({ id, parent }) => ({ device_id: id, area_id: parent ?? null })),
            cursor: next,
          };
    }),
    defineCommand("gatehouse/resources/set", authority, ({ entities = [], devices = [], wait }, session) =>
      change(parts, "gatehouse/resources/set", session, wait, [
        ...entities.map(({ entity_id, device_id }) => ({
          kind: "entity" as const,
          id: entity_id,
          parent: device_id,
        })),
        ...devices.map(({ device_id, area_id }) => ({
          kind: "device" as const,
          id: device_id,
          parent: area_id,
        })),
      ]),
    ),
    defineCommand(
      "gatehouse/resources/remove",
      authority,
      ({ entity_ids = [], device_ids = [], wait }, session) =>
        change(parts, "gatehouse/resources/remove", session, wait, [
          ...entity_ids.map((id) => ({ kind: "entity" as const, id, parent: undefined })),
          ...device_ids.map((id) => ({ kind: "device" as const, id, parent: undefined })),
        ]),
    ),
  ];
}

/**
 * Whoever moves an entity to another device, or a device to another area, gives rights to those whose policies name it. So a
 * delegate has to have every right on every entity.
 */
async function change(
  { authority, authorityOf }: CommandParts,
  type: "gatehouse/resources/set" | "gatehouse/resources/remove",
  session: SocketSession,
  wait: boolean | undefined,
  changes: readonly ResourceChange[],
): Promise<RevocationState> {
  const { permitPolicies } = await limitsOf(authority, session, type);
  const permit = () => permitPolicies([{ entities: true }]);
  await permit();
  if (changes.length === 0 || changes.length > resourceLimits.atOnce)
    throw new AuthError("invalid_format", {
      publicMessage: `Name 1 to ${resourceLimits.atOnce} entities and devices.`,
    });
  const named = new Set(changes.map(({ kind, id }) => `${kind} ${id}`));
  if (named.size < changes.length)
    throw new AuthError("invalid_format", { publicMessage: "An entity or a device is named twice." });
  const receipt = await authorityOf(session).resources.change(changes, permit);
  return stateOf(wait === true ? await authority.revocation.settled(receipt) : receipt);
}
