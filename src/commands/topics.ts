import type { JsonValue } from "../auth/store.ts";
import type { Command } from "../connection/command.ts";
import { inRoomForSubscription } from "./events.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

export function topicCommands({ authority, topics }: CommandParts): readonly Command[] {
  return [
    defineCommand("gatehouse/topics/subscribe", authority, (request, session) =>
      inRoomForSubscription(session, request.id, () => topics.subscribe(session, request)),
    ),
    defineCommand("gatehouse/topics/publish", authority, async ({ topic, data, retain }, session) => ({
      // A message that was decoded holds nothing but plain data.
      position: await topics.publish(session, { topic, data: data as JsonValue, retain }),
    })),
  ];
}
