import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

import { type RunningGateway, startNode } from "../support/gateway.ts";
import { openSocket } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

let folder: TemporaryFolder;
let gateway: Omit<RunningGateway, "owner" | "ownerPassword">;
const env: Record<string, string> = { GATEHOUSE_SECRET: "a secret that the tests' gateways share" };
beforeAll(async () => {
  folder = temporaryFolder();
  const data = path.join(folder.path, "data");
  env.GATEHOUSE_DATA = data;
  await command(["users", "add", "Olivia", "--username", "olivia", "--owner", "--password-stdin"], env);
  gateway = await startNode({
    data,
    password: { scrypt_n: 1024, workers: 1, tries_per_account_and_address: 1 },
  });
});
afterAll(async () => {
  await gateway?.stop();
  folder.remove();
});

it("lists and lifts throttles beside a running gateway, whose audit log has it", async () => {
  const guess = async (secret: string) => {
    const socket = await openSocket(gateway.port);
    const started = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
    const { flow_id } = started.result as { flow_id: string };
    const user_input = { username: "olivia", password: secret };
    const answer = await socket.call("auth/login/step", { flow_id, user_input });
    socket.close();
    return answer;
  };
  await guess("wrong horse");
  expect(await guess("correct horse battery")).toMatchObject({ error: { code: "rate_limited" } });
  const text = await command(["throttles", "list"], env);
  expect(text.stdout).toMatch(
    /^ID +OF +USER +ADDRESS +LEFT +NEXT TRY +ENDS\np\S+ +account_and_address +olivia +127\./,
  );
  const { stdout } = await command(["throttles", "list", "--json"], env);
  const [throttle] = JSON.parse(stdout) as { id: string }[];
  const lifted = await command(["throttles", "lift", throttle?.id ?? ""], env);
  expect(lifted).toMatchObject({ code: 0, stdout: "lifted it\n", stderr: "" });
  expect((await command(["throttles", "list", "--json"], env)).stdout).toBe("[]\n");
  expect(await command(["throttles", "lift", "nothing"], env)).toMatchObject({
    code: 1,
    stderr: "gatehouse: There is no throttle nothing (not_found)\n",
  });
  expect(await guess("correct horse battery")).toMatchObject({ result: { type: "create_entry" } });
});
