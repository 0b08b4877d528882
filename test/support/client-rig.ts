import { expect } from "vitest";

import type { ClientRegistration } from "../../src/auth/clients/registered-clients.ts";
import { sharedIssuer, startGateway } from "./gateway.ts";
import { newCode, registerApp, sendForm } from "./registered-app.ts";

export const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";
export const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** Each transport and each store once. */
export const clientRigs = [
  ["ws", "embedded"],
  ["uws", "redis"],
] as const;

type Basic = readonly [id: string, secret: string];

/** A gateway, and registered clients at it. */
export async function startClientRig(transport: "ws" | "uws", store: "embedded" | "redis") {
  const gateway = await startGateway({ store, transport });
  let count = 0;
  const token = (fields: Readonly<Record<string, string>>, basic?: Basic) =>
    sendForm(`${gateway.url}/auth/token`, fields, basic);
  return {
    gateway,
    issuer: store === "redis" ? sharedIssuer : gateway.url,
    token,
    /** Registers a client of its own for a test. */
    async app(changes: Partial<ClientRegistration> = {}): Promise<Basic> {
      count += 1;
      return await registerApp(gateway.authority, { id: `app${count}`, ...changes });
    },
    /** What the token endpoint gives for a login of the owner at the client. */
    async loggedIn(basic: Basic, asked: Readonly<Record<string, string>> = {}) {
      const [client_id, secret] = basic;
      const code = await newCode(gateway, { client_id, ...asked });
      const isPublic = secret === "";
      const { status, body } = await token(
        isPublic ? { ...code, client_id } : code,
        isPublic ? undefined : basic,
      );
      expect(status).toBe(200);
      return body;
    },
  };
}

export type ClientRig = Awaited<ReturnType<typeof startClientRig>>;
