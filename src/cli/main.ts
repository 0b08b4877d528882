#!/usr/bin/env node
import { exitCodes } from "./output.ts";
import { runCommand } from "./program.ts";

const { env, stdin, stdout, stderr } = process;
let answerIsLost = false;
// Whoever reads the answer may stop when it has seen enough (`| head`); a gateway does not end for that either.
stdout.on("error", (error: NodeJS.ErrnoException) => {
  answerIsLost ||= error.code !== "EPIPE";
});
stderr.on("error", () => undefined);
process.once("exit", (code) => {
  if (answerIsLost && code === exitCodes.done) process.exitCode = exitCodes.failed;
});
process.exitCode = await runCommand(process.argv.slice(2), { env, stdin, stdout, stderr });
