/** How long the process may take to end by itself, ms. */
const graceMs = 5_000;

/**
 * Ends the process although a write of lmdb's does not end: if another process was stopped while it held the store's write
 * lock, that write keeps the event loop alive. Then the process ends by SIGTERM, because `process.exit` waits for libuv's
 * threads, and one of them is in that write. What was written to the streams goes out before, however slowly it is read.
 */
export function endOnceWritten(streams: {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}): void {
  // At the end of the loop lmdb-js may wait for a lock that a failed write has left. This listener is the last one, as whatever
  // has to be done at the end has registered by now.
  process.once("beforeExit", () => process.once("exit", () => process.exit()));
  const look = () => {
    const { stdout, stderr } = streams;
    if (stdout.writableLength > 0 || stderr.writableLength > 0) lookLater();
    else {
      process.removeAllListeners("SIGTERM");
      process.kill(process.pid, "SIGTERM");
    }
  };
  const lookLater = () => void setTimeout(look, graceMs).unref();
  lookLater();
}
