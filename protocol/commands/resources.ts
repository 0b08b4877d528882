import { Type } from "typebox";

import { command } from "./define.ts";
import { RevocationState } from "./revoke.ts";

const strict = { additionalProperties: false } as const;

/** An id of an entity, a device or an area. Home Assistant's, or any other. */
const ResourceId = Type.String({ minLength: 1, maxLength: 255 });
const Parent = Type.Union([ResourceId, Type.Null()]);
const entity = { entity_id: ResourceId, device_id: Parent } as const;
const device = { device_id: ResourceId, area_id: Parent } as const;
const atOnce = { maxItems: 200 } as const;
const Wait = Type.Optional(
  Type.Boolean({ default: false, description: "Answer once every node applied it, or after 60 s." }),
);

/** Which device an entity belongs to, and which area a device is in. */
export const resourceCommands = {
  "gatehouse/resources/list": command(
    "gatehouse/resources/list",
    "admin",
    {
      kind: Type.Union([Type.Literal("entities"), Type.Literal("devices")]),
      cursor: Type.Optional(ResourceId),
      limit: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 500, default: 100, description: "Most entries of the page." }),
      ),
    },
    Type.Object({
      /** Of the `kind` that was asked for; the other one is absent. */
      entities: Type.Optional(Type.Array(Type.Object(entity))),
      devices: Type.Optional(Type.Array(Type.Object(device))),
      cursor: Parent,
    }),
  ),
  "gatehouse/resources/set": command(
    "gatehouse/resources/set",
    "admin",
    {
      entities: Type.Optional(Type.Array(Type.Object(entity, strict), atOnce)),
      devices: Type.Optional(Type.Array(Type.Object(device, strict), atOnce)),
      wait: Wait,
    },
    RevocationState,
  ),
  "gatehouse/resources/remove": command(
    "gatehouse/resources/remove",
    "admin",
    {
      entity_ids: Type.Optional(Type.Array(ResourceId, atOnce)),
      device_ids: Type.Optional(Type.Array(ResourceId, atOnce)),
      wait: Wait,
    },
    RevocationState,
  ),
} as const;
