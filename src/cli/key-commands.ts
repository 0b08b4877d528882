import type { Command } from "commander";

import { configured, type Frame, withAuthority } from "./frame.ts";
import { listKeys, rotateKeys } from "./keys.ts";

export function addKeyCommands(program: Command, frame: Frame): void {
  const { perform } = frame;
  const keys = program.command("keys").description("signing keys");
  configured(keys.command("list").description("list signing keys")).action((flags) =>
    perform(flags.json, (output) =>
      withAuthority(flags, frame, async (authority) => listKeys(authority, output)),
    ),
  );
  configured(
    keys.command("rotate").description("publish a new key, which signs after verifiers could fetch it"),
  )
    .option("--now", "sign with it at once; whoever cached the old keys refuses new tokens for a while")
    .action((flags) =>
      perform(flags.json, (output) =>
        withAuthority(flags, frame, (authority) => rotateKeys(authority, flags.now === true, output)),
      ),
    );
}
