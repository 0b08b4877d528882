import { runGateway } from "../server/process-signals.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import type { Output } from "./output.ts";

/** Runs the gateway until it is told to stop. Prints its URL, transport and store, and the set-up link. */
export async function serve(
  flags: ConfigFlags,
  environment: { readonly env: Readonly<Record<string, string | undefined>> },
  output: Output,
): Promise<void> {
  const config = configurationOf(flags, environment.env);
  await runGateway(config, {
    announce({ url, setupLink }, gateway) {
      const { transport, store } = gateway.health.live();
      const lines = [`gatehouse serves ${url} (transport ${transport}, store ${store})`];
      if (setupLink !== undefined)
        lines.push("", "Set up the owner, once, with this link:", `  ${setupLink}`, "");
      const value = { url, transport, store, setup_link: setupLink ?? null };
      output.result(value, lines.join("\n"));
    },
  });
}
