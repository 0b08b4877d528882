import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { startGateway } from "../support/gateway.ts";
import { callback, newCode, sendForm } from "../support/registered-app.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

function file(name: string, text: string): string {
  const place = path.join(folder.path, name);
  writeFileSync(place, text);
  return place;
}
const secret = "a secret of the operator, long enough to be one";
const start = (clients: object[]) =>
  startGateway({ store: "embedded", transport: "ws", config: { clients: clients as never } });

describe("clients of the configuration", () => {
  it("authenticate with what is in their file, and no command changes them", async () => {
    const gateway = await start([
      {
        client_id: "app",
        name: "The app",
        redirect_uris: [callback],
        secret_file: file("app.secret", `${secret}\n`),
      },
    ]);
    try {
      const tokens = await sendForm(`${gateway.url}/auth/token`, await newCode(gateway), ["app", secret]);
      expect(tokens).toMatchObject({ status: 200, body: { scope: "openid profile" } });
      const { clients } = gateway.authority;
      expect((await clients.page({ after: undefined, limit: 1 })).clients).toMatchObject([
        { id: "app", source: "configuration" },
      ]);
      const { find: _, page: __, all: ___, ...changing } = clients;
      const own = await clients.find("app");
      if (own === undefined) throw new Error("no client");
      for (const [name, change] of Object.entries({
        ...changing,
        register: () => clients.register(own),
      }))
        await expect(
          (change as (id: string, changes: object) => Promise<unknown>)("app", {}),
          name,
        ).rejects.toMatchObject({
          code: expect.stringMatching(/client_configured|client_exists/),
        });
    } finally {
      await gateway.stop();
    }
  });

  it.each<[string, string, (files: { secret: string; short: string; keys: string }) => object[]]>([
    [
      "a file that is not there",
      "entry 1 has a secret_file that cannot be read: ENOENT",
      () => [{ client_id: "a", secret_file: "/nowhere/x" }],
    ],
    [
      "a short secret",
      "entry 1 has a secret of less than 32 characters",
      ({ short }) => [{ client_id: "a", secret_file: short }],
    ],
    [
      "two ways to authenticate",
      "entry 1 has a secret_file and a keys_file",
      ({ secret, keys }) => [{ client_id: "a", secret_file: secret, keys_file: keys }],
    ],
    [
      "keys that are none",
      "entry 1 has a keys_file that is no JWKS",
      ({ short }) => [{ client_id: "a", keys_file: short }],
    ],
    [
      "the same id twice",
      "entry 2 has the client id of another entry",
      () => [{ client_id: "a", grant_types: [] }, { client_id: "a" }],
    ],
    [
      "no redirect URI",
      "entry 1 is wrong: A client with the grant type authorization_code needs a redirect URI.",
      () => [{ client_id: "a" }],
    ],
  ])("keep the gateway from starting with %s", async (_, message, entries) => {
    const files = { secret: file("s", secret), short: file("t", "short"), keys: file("k", '{"keys":[]}') };
    await expect(start(entries(files))).rejects.toThrow(message);
  });
});
