import { systemClock } from "../server/open-authority.ts";
import { rotateInstallationSecret } from "../server/rotate-secret.ts";
import type { CommandEnvironment } from "./command-context.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import type { Output } from "./output.ts";
import { askYesOrNo } from "./terminal-prompt.ts";

const storeTimeoutMs = 5_000;

export async function rotate(
  flags: ConfigFlags & { readonly newSecretFile?: string; readonly yes?: true },
  environment: CommandEnvironment,
  output: Output,
): Promise<void> {
  const config = configurationOf(flags, environment.env);
  const asks = flags.yes !== true && environment.stdin.isTTY;
  if (asks && !(await askYesOrNo(environment, "End every session and token, and seal the store anew?"))) {
    output.result({ rotated: false }, "nothing was changed");
    return;
  }
  const slowStoreConfig = { ...config, store_timeout_ms: Math.max(config.store_timeout_ms, storeTimeoutMs) };
  const options = { newFile: flags.newSecretFile, now: systemClock.now };
  const file = await rotateInstallationSecret(slowStoreConfig, options);
  const text = `the secret is now that of ${file}: configure it for every node and command (secret_file, GATEHOUSE_SECRET_FILE); all sessions and tokens are revoked`;
  output.result({ rotated: true, secret_file: file }, text);
}
