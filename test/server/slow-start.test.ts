import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import { createLog, type Log } from "../../src/observability/log.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import { createGateway, type Gateway } from "../../src/server/gateway.ts";
import { retryAtStartup } from "../../src/server/startup-retry.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { StoreFile } from "../../src/store/embedded/store-file.ts";
import { numberKey, type Tables } from "../../src/store/embedded/tables.ts";
import { cheapScrypt } from "../support/authority.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const soon = { timeout: 10_000, interval: 10 };

describe("a start while Redis answers too late", () => {
  let redis: RedisServer;
  let proxy: FaultProxy;
  let folder: TemporaryFolder;
  const gateways: Gateway[] = [];
  const warnings: string[] = [];
  const log: Log = {
    ...createLog({ level: "silent" }),
    warn: ({ detail = "" }: { readonly detail?: string }, message: string) =>
      void warnings.push(`${message}: ${detail}`),
  };

  beforeEach(async () => {
    redis = await startRedis();
    proxy = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
    folder = temporaryFolder();
    warnings.length = 0;
  });
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) await gateway.stop(0);
    await proxy.stop();
    await redis.dispose();
    folder.remove();
  });

  async function start() {
    const config = defineConfig({
      port: 0,
      data: folder.path,
      store: `redis://127.0.0.1:${proxy.port}`,
      store_timeout_ms: 250,
      password: { scrypt_n: cheapScrypt.N, workers: 1 },
    });
    const gateway = await createGateway(config, { log });
    gateways.push(gateway);
    return await gateway.start();
  }
  const told = (text: string) => warnings.filter((line) => line.includes(text));

  it.each([
    ["read the keys of the installation", "}:r:keyring"],
    ["agree on the issuer", "}:r:issuer"],
  ])("retries, and logs it: %s", async (what, key) => {
    proxy.separateSenders(key);
    const starting = start();
    const text = `the store does not answer in time; could not ${what} yet, trying again: redis redis://127.0.0.1`;
    await expect.poll(() => told(text).length, soon).toBeGreaterThanOrEqual(2);
    proxy.pass();
    expect(await within(starting, "the gateway")).toMatchObject({ port: expect.any(Number) });
  });

  it("gives up after a while, reports why, and leaves nothing open", async () => {
    proxy.separateSenders("}:r:issuer");
    const failed = expect(start()).rejects;
    await failed.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        /^could not agree on the issuer within 5 s: redis redis:\/\/127\.0\.0\.1:\d+: no /,
      ),
    });
    proxy.pass();
    const [gateway] = gateways.splice(0);
    await gateway?.stop();
    await expect.poll(() => proxy.connections, soon).toBe(0);
  });

  it("does not retry a permanent fault", async () => {
    let attempts = 0;
    const refused = retryAtStartup("do it", log, async () => {
      attempts += 1;
      throw new AuthError("unavailable", { detail: "made with another secret" });
    });
    await expect(refused).rejects.toThrow("made with another secret");
    expect([attempts, warnings]).toEqual([1, []]);
  });
});

describe("a start over a damaged data file", () => {
  let folder: TemporaryFolder;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => folder.remove());

  it.each([
    ["a record", ({ records }: Tables) => records.putSync(Buffer.from("keyring"), "1||{no JSON")],
    ["an entry of the log", ({ log }: Tables) => log.putSync(numberKey(1), `${Date.now()}|1|{no JSON`)],
  ])("stops at the first attempt, and says what to do: %s", async (_, damage) => {
    const config = defineConfig({
      port: 0,
      data: folder.path,
      password: { scrypt_n: cheapScrypt.N, workers: 1 },
    });
    const first = await createGateway(config, { log: createLog({ level: "silent" }) });
    await first.start();
    await first.stop(0);
    const store = await openEmbeddedStore({ folder: folder.path, role: "cli" });
    await store.commit({ log: [{ type: "written" }] });
    await store.close();
    const file = await StoreFile.open(folder.path);
    await file.transact((tables) => damage(tables));
    await file.close();

    const attempts: string[] = [];
    const log: Log = {
      ...createLog({ level: "silent" }),
      warn: (_fields: object, message: string) => void attempts.push(message),
    };
    const start = async () => await (await createGateway(config, { log })).start();
    await expect(start()).rejects.toThrow(/the data file is damaged: .*restore a backup/);
    expect(attempts.filter((line) => line.includes("trying again"))).toEqual([]);
  });
});
