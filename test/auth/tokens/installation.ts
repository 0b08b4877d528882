import { randomBytes } from "node:crypto";

import type { Clock } from "../../../src/auth/clock/clock.ts";
import type { Session, User } from "../../../src/auth/model.ts";
import type { Store } from "../../../src/auth/store.ts";
import { createAccessTokens } from "../../../src/auth/tokens/access-tokens.ts";
import { createKeyring } from "../../../src/auth/tokens/keyring.ts";
import { createSealing } from "../../../src/auth/tokens/sealing.ts";
import { openEmbeddedStore } from "../../../src/store/embedded/embedded-store.ts";
import { openProviders } from "../../support/people.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

export const issuer = "https://gatehouse.example:8123";
export const startOfTime = Date.UTC(2026, 10, 1, 12, 0, 0);
export const halfAnHour = 1_800_000;
export const day = 86_400_000;

/** A clock that the test sets. */
export class HandClock implements Clock {
  time = startOfTime;
  now(): number {
    return this.time;
  }
  monotonic(): number {
    return this.time;
  }
  pass(ms: number): void {
    this.time += ms;
  }
}

export interface OpenStore {
  readonly store: Store;
  readonly clock: HandClock;
  dispose(): Promise<void>;
}

/** A real store in a temporary folder, with a clock that the test sets. */
export async function openStore(): Promise<OpenStore> {
  const folder = temporaryFolder();
  const clock = new HandClock();
  const store = await openEmbeddedStore({ folder: folder.path, role: "gateway", clock });
  const dispose = async () => {
    await store.close();
    folder.remove();
  };
  return { store, clock, dispose };
}

/** One node's tokens over a store; nodes with the same secret are one installation. */
export async function createNode(opened: OpenStore, secret: Uint8Array = randomBytes(32)) {
  const { store, clock } = opened;
  const sealing = createSealing(secret);
  const keyring = await createKeyring({ store, sealing, clock, longestTokenMs: halfAnHour });
  const tokens = createAccessTokens({
    keyring,
    clock,
    issuer: () => issuer,
    audience: () => issuer,
    providers: openProviders,
  });
  return { sealing, keyring, tokens, clock, store };
}

export const hexId = () => randomBytes(16).toString("hex");

export function user(changes: Partial<User> = {}): User {
  return {
    id: hexId(),
    name: "Ada",
    isOwner: false,
    state: "active",
    systemGenerated: false,
    localOnly: false,
    groupIds: ["system-users"],
    createdAt: startOfTime,
    ...changes,
  };
}

export function session(changes: Partial<Session> = {}): Session {
  return {
    id: hexId(),
    userId: hexId(),
    type: "normal",
    clientId: "https://app.example/",
    clientName: null,
    clientIcon: null,
    credentialId: hexId(),
    providerType: "homeassistant",
    createdAt: startOfTime,
    lastUsedAt: null,
    lastUsedIp: null,
    expiresAt: startOfTime + 90 * day,
    accessTokenTtl: halfAnHour,
    rotates: true,
    generation: 0,
    rotatedAt: startOfTime,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: startOfTime,
    ...changes,
  };
}

/** A token's three segments. */
export function segments(token: string): [string, string, string] {
  const [header = "", payload = "", signature = ""] = token.split(".");
  return [header, payload, signature];
}

export const base64url = (text: string) => Buffer.from(text).toString("base64url");
export const textOf = (segment: string) => Buffer.from(segment, "base64url").toString();
