import type { Authority } from "../../src/auth/authority.ts";
import type { User } from "../../src/auth/model.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { createGateway, type GatewayParts } from "../../src/server/gateway.ts";
import { cheapScrypt } from "./authority.ts";
import { startRedis } from "./redis-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export type StoreKind = "embedded" | "redis";
export const storeKinds: readonly StoreKind[] = ["embedded", "redis"];
export const transportNames: readonly ("ws" | "uws")[] = ["ws", "uws"];

/** The password of the owner (login name `paula`) of every gateway that `startGateway` creates. */
export const ownerPassword = "correct horse battery";

export interface RunningGateway {
  readonly url: string;
  readonly port: number;
  readonly authority: Authority;
  readonly owner: User;
  readonly ownerPassword: string;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  readonly store: StoreKind;
  readonly transport: "ws" | "uws";
  /** Configuration options in addition to the defaults of tests. */
  readonly config?: ConfigInput;
}

/** Nodes that share a store must have the same issuer; their ports differ. */
export const sharedIssuer = "https://gatehouse.test";

/** A complete gateway in this process, with an owner, on a store of its own that is removed with it. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const redis = options.store === "redis" ? await startRedis() : undefined;
  const store = redis === undefined ? {} : { store: redis.url };
  try {
    const gateway = await startNode({ ...options.config, transport: options.transport, ...store });
    const owner = await setUpOwner(gateway.authority);
    const stop = async () => {
      await gateway.stop();
      await redis?.dispose();
    };
    return { ...gateway, owner, ownerPassword, stop };
  } catch (error) {
    await redis?.dispose();
    throw error;
  }
}

/** One node without an owner of its own. Several nodes share a Redis store through `store` and one secret. */
export async function startNode(
  config: ConfigInput,
  parts: GatewayParts = {},
): Promise<Omit<RunningGateway, "owner" | "ownerPassword">> {
  const folder = temporaryFolder();
  const gateway = await createGateway(
    defineConfig({
      port: 0,
      data: folder.path,
      secret: "a secret that the tests' gateways share",
      password: { scrypt_n: cheapScrypt.N, workers: 1 },
      // The suite shares two cores. Other tests cover how soon a lost store is noticed.
      store_timeout_ms: 5_000,
      log: { level: "silent" },
      ...config,
      ...(config.store == null ? {} : { tokens: { issuer: sharedIssuer, ...config.tokens } }),
    }),
    parts,
  );
  const { url, port } = await gateway.start();
  const stop = async () => {
    await gateway.stop(0);
    folder.remove();
  };
  return { url, port, authority: gateway.authority, stop };
}

export async function setUpOwner(authority: Authority): Promise<User> {
  const setupCode = await authority.onboarding.setupCode();
  return await authority.onboarding.createOwner({
    setupCode,
    name: "Paula",
    username: "paula",
    password: ownerPassword,
  });
}
