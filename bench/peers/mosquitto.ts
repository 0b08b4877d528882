// mosquitto's WebSocket listener: MQTT 3.1.1 with a name and a password from a password file.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { answer } from "../support/answering.ts";
import type { Mint } from "../support/minting.ts";
import { freePort, scratchFolder, startProgram, versionOf } from "./own-program.ts";

const version = versionOf("mosquitto", ["-h"], /mosquitto version (\S+)/);
const port = await freePort();
const folder = scratchFolder("mosquitto");
const [users, config] = [path.join(folder, "users"), path.join(folder, "mosquitto.conf")];
const password = "p".repeat(700);
writeFileSync(users, "");
const { status, stderr } = spawnSync("mosquitto_passwd", ["-b", users, "someone", password], {
  encoding: "utf8",
});
if (status !== 0) throw new Error(`mosquitto_passwd: ${stderr}`);
writeFileSync(
  config,
  [
    // 2.0.11 does not start with only a WebSocket listener.
    ...[
      `listener ${await freePort()} 127.0.0.1`,
      `listener ${port} 127.0.0.1`,
      "protocol websockets",
      "socket_domain ipv4",
    ],
    `password_file ${users}`,
    // Its documentation recommends this if latency matters. Nothing is written to disk.
    ...["set_tcp_nodelay true", "persistence false", "allow_anonymous false", "user root", "log_type none"],
  ].join("\n"),
);
const program = await startProgram("mosquitto", ["-c", config], port);

answer(
  { port, version, server: program.pid ?? 0 },
  {
    mint: ({ n }: Mint) => Array<string>(n).fill(`someone ${password}`),
    settle: () => undefined,
    quiet: () => new Promise((resolve) => setTimeout(resolve, 20)),
  },
);
