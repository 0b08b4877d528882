import { expect, it } from "vitest";

import { startRedis } from "./redis-server.ts";

it("a Redis that ends at its start is reported when it ends, not after the time of a slow start", async () => {
  await expect(startRedis({ config: ["no-such-option yes"] })).rejects.toThrow("redis-server ended with 1");
});
