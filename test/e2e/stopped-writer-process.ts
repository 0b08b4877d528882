import { StoreFile } from "../../src/store/embedded/store-file.ts";
import { say } from "../support/say.ts";

/** A command that is stopped in the middle of a write, as by `docker pause`. Argument: folder. */
const [folder = ""] = process.argv.slice(2);
const file = await StoreFile.open(folder);
await file.transact(() => {
  say("writing");
  process.kill(process.pid, "SIGSTOP");
});
