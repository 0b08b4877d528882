import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startDashboard } from "./dashboard.ts";

/* `npm run example`: a gateway, a service that publishes, and a page that shows it. */

const data = await mkdtemp(path.join(tmpdir(), "gatehouse-example-"));
const { version } = JSON.parse(
  await readFile(new URL("../../../../package.json", import.meta.url), "utf8"),
) as { version: string };
const dashboard = await startDashboard({ data, port: Number(process.env.PORT ?? 8123) }).catch(
  async (error: unknown) => {
    await rm(data, { recursive: true, force: true });
    console.error(error instanceof Error ? error.message : String(error));
    console.error("PORT=8124 npm run example starts it on another port");
    process.exit(1);
  },
);
const { owner, guest } = dashboard;
console.log(`Gatehouse ${version}, with an example that is gone when you stop it.

  ${dashboard.url}/dashboard

Open it twice, in two browsers or with one private window:

  as the guest    user name ${guest.username}, password ${guest.password}
  as the owner    user name ${owner.username}, password ${owner.password}

The owner decides what guests may read. What they may not read any more leaves their page at that moment.
Ctrl-C stops it.`);

let isStopping = false;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    if (isStopping) return;
    isStopping = true;
    void dashboard
      .stop()
      .then(() => rm(data, { recursive: true, force: true }))
      .then(() => process.exit());
  });
