import type { HubMember } from "../../src/connection/hub.ts";
import { LocalPresenceDirectory } from "../../src/presence/local-directory.ts";
import { presenceContract } from "../contract/presence-directory.ts";

presenceContract("in process", async () => ({
  node: (id, members: Set<HubMember>) =>
    new LocalPresenceDirectory({
      node: id,
      members: (userId) =>
        [...members].filter(({ principal }) => userId === undefined || principal.userId === userId),
    }),
  dispose: async () => undefined,
}));
