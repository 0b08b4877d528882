#!/usr/bin/env node
import { endOnceWritten } from "./end-once-written.ts";
import { exitCodes } from "./output.ts";
import { runCommand } from "./program.ts";

const { env, stdin, stdout, stderr } = process;
let answerIsLost = false;
// The reader may close the pipe when it has seen enough (`| head`). A gateway must not end because of that.
stdout.on("error", (error: NodeJS.ErrnoException) => {
  answerIsLost ||= error.code !== "EPIPE";
});
stderr.on("error", () => undefined);
process.once("exit", (code) => {
  if (answerIsLost && code === exitCodes.done) process.exitCode = exitCodes.failed;
});
process.exitCode = await runCommand(process.argv.slice(2), { env, stdin, stdout, stderr });
endOnceWritten({ stdout, stderr });
