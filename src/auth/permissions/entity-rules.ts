import type { EntityPolicy } from "../../../protocol/policy.ts";
import { allRule, everythingRule, mapRule, type Rule } from "./map-rules.ts";

/** What is registered about entities and devices. */
export interface ResourceLookup {
  deviceOf(entityId: string): string | undefined;
  /** The area of a device. */
  areaOf(deviceId: string): string | undefined;
}

export const noResources: ResourceLookup = { deviceOf: () => undefined, areaOf: () => undefined };

/** The part of an entity's id before the first dot. */
export function domainOf(entityId: string): string {
  const [domain = ""] = entityId.split(".", 1);
  return domain;
}

/** The rules of a policy about entities, in Home Assistant's order: the most precise first. */
export function entityRules(policy: EntityPolicy | undefined, resources: ResourceLookup): readonly Rule[] {
  if (policy === undefined) return [];
  if (policy === true) return [everythingRule("entities")];
  const { entity_ids, device_ids, area_ids, domains, all } = policy;
  const areaOfEntity = (entityId: string) => {
    const device = resources.deviceOf(entityId);
    return device === undefined ? undefined : resources.areaOf(device);
  };
  return [
    entity_ids && mapRule("entity_ids", entity_ids, (entityId) => entityId),
    device_ids && mapRule("device_ids", device_ids, resources.deviceOf),
    area_ids && mapRule("area_ids", area_ids, areaOfEntity),
    domains && mapRule("domains", domains, domainOf),
    all && allRule(all),
  ].filter((rule) => rule !== undefined);
}

/** Whether the policy's answers depend on what is registered. */
export function readsResources(policy: EntityPolicy | undefined): boolean {
  if (policy === undefined || policy === true) return false;
  return typeof policy.device_ids === "object" || typeof policy.area_ids === "object";
}
