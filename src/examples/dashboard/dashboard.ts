import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";

import { GatewayClient, systemToken } from "../../client/index.ts";
import { elementPagePolicy, type PageFile, pageFile } from "../../http/pages.ts";
import { type ConfigInput, createGateway, defineConfig, type Gateway } from "../../index.ts";
import { readPages } from "../../server/pages.ts";

export interface Person {
  readonly username: string;
  readonly password: string;
}

export interface Dashboard {
  readonly url: string;
  readonly owner: Person;
  /** May read what the group `Guests` may. */
  readonly guest: Person;
  stop(): Promise<void>;
}

export interface DashboardOptions {
  /** A folder for the gateway's data, which does not exist yet or is empty. */
  readonly data: string;
  readonly port: number;
  /** Options of the gateway beside these. */
  readonly config?: ConfigInput;
  /** Where the gateway's own pages are; default: beside the compiled code. */
  readonly pages?: readonly PageFile[];
  /** Time between two readings of a sensor, ms; default 500. */
  readonly everyMs?: number;
}

/** What the sensors of a house publish, each around a value, with a swing. */
const sensors = [
  { topic: "home/kitchen/temperature", around: 21, swing: 2 },
  { topic: "home/bedroom/temperature", around: 18, swing: 1 },
  { topic: "home/energy/solar", around: 3, swing: 2 },
  { topic: "home/energy/power", around: 1.2, swing: 0.8 },
] as const;

/** What guests may read at first: everything. */
const guestTopics = {
  "home/kitchen/#": { read: true },
  "home/bedroom/#": { read: true },
  "home/energy/#": { read: true },
} as const;

/** Starts a gateway on its embedded store, with an owner, a guest, a service that publishes, and a page. */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { data, port, config, everyMs = 500 } = options;
  const pages = [...(options.pages ?? (await readPages())), ...(await ownPages())];
  const gateway = await createGateway(
    defineConfig({ host: "127.0.0.1", port, data, log: { level: "warn" }, ...config }),
    { pages },
  );
  const { url } = await gateway.start();
  const { owner, guest, token } = await furnish(gateway);
  const service = new GatewayClient({ url, tokens: systemToken(token) });
  await service.connect();
  const publishing = setInterval(() => void publishReadings(service), everyMs);
  return {
    url,
    owner,
    guest,
    async stop() {
      clearInterval(publishing);
      service.close();
      await gateway.stop(0);
    },
  };
}

async function ownPages(): Promise<readonly PageFile[]> {
  const names = ["dashboard.html", "dashboard.js", "dashboard.css"];
  const files = await Promise.all(
    names.map(async (name) =>
      pageFile(name, await readFile(new URL(`page/${name}`, import.meta.url), "utf8")),
    ),
  );
  // The page has the login element.
  return files.map((file) =>
    file.path === "/dashboard"
      ? { ...file, headers: { ...file.headers, "content-security-policy": elementPagePolicy } }
      : file,
  );
}

/** People, groups and a service, as an administrator would make them. */
async function furnish({ authority }: Gateway) {
  const { groups, localLogins, onboarding, systemUsers } = authority;
  const owner = { username: "paula", password: newPassword() };
  const setupCode = await onboarding.setupCode();
  await onboarding.createOwner({ setupCode, name: "Paula", ...owner });
  const guests = await groups.create({ name: "Guests", policy: { topics: { patterns: guestTopics } } });
  const guest = { username: "gerda", password: newPassword() };
  await localLogins.createUser({ name: "Gerda", ...guest, groupIds: [guests.group.id] });
  const policy = { topics: { patterns: { "home/#": { control: true } } } } as const;
  const { group } = await groups.create({ name: "Sensors", policy });
  const { refreshToken: token } = await systemUsers.create({ name: "House", groupIds: [group.id] });
  return { owner, guest, token };
}

function newPassword(): string {
  return randomBytes(12).toString("base64url");
}

async function publishReadings(service: GatewayClient): Promise<void> {
  if (service.state !== "ready") return;
  const phase = Date.now() / 7_000;
  for (const [place, { topic, around, swing }] of sensors.entries()) {
    const value = around + swing * Math.sin(phase + place) + (Math.random() - 0.5) * swing * 0.2;
    // A reading that is lost is followed by the next one.
    await service
      .call("gatehouse/topics/publish", { topic, data: { value: Number(value.toFixed(2)) } })
      .catch(() => undefined);
  }
}
