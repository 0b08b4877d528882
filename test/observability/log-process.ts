// Writes numbered lines to the log of a process of its own. Arguments: how many, the text of each, "stay" or "exit", and
// for how long the exit waits for a reader, ms.
import { createLog } from "../../src/observability/log.ts";

const [, , count = "0", text = "", then = "exit", patience] = process.argv;
const log = createLog({
  level: "info",
  ...(patience === undefined ? {} : { flushWithinMs: Number(patience) }),
});
for (let number = 0; number < Number(count); number += 1) log.info({ number, text }, "numbered");
if (then === "stay") setInterval(() => undefined, 1_000);
else {
  const isWritten = await log.flush();
  console.log(isWritten ? "flushed" : "stuck");
  if (isWritten) process.exit(0);
  else process.kill(process.pid, "SIGKILL");
}
