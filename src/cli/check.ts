import { stringify } from "yaml";

import { effectiveConfig } from "../server/config/effective.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import type { Output } from "./output.ts";

/** Validates the configuration and prints what is in effect, secrets masked. */
export function check(
  flags: ConfigFlags,
  surroundings: { readonly env: Readonly<Record<string, string | undefined>> },
  output: Output,
): void {
  const effective = effectiveConfig(configurationOf(flags, surroundings.env));
  output.result(effective, stringify(effective).trimEnd());
}
