import { type Static, type TProperties, Type } from "typebox";

import type { Clock } from "../clock/clock.ts";
import type { Frozen } from "../providers/provider-type.ts";
import type { Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import type { Factor } from "./factor.ts";

/** What a factor of the configuration may use of the domain. */
export interface FactorTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly sealing: Sealing;
  /** How clients and browsers reach the gateway, without a trailing slash. Known once it listens. */
  readonly publicUrl: () => string;
}

const named = {
  id: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: "^[A-Za-z0-9._-]+$",
      description: "Names the factor, also in what is stored of it. The type by default.",
    }),
  ),
  name: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: "What people read when they choose." }),
  ),
};

/** The schema of a type's entries in the configuration: `type`, `id` and `name`, and what the type has beside them. */
export function factorEntrySchema<Name extends string, Options extends TProperties>(
  type: Name,
  options: Options,
) {
  return Type.Object({ type: Type.Literal(type), ...named, ...options }, { additionalProperties: false });
}

/** A type of second factor: how an entry of the configuration is written, and the factor that it makes. */
export interface FactorType<
  Entry extends ReturnType<typeof factorEntrySchema> = ReturnType<typeof factorEntrySchema>,
> {
  readonly entry: Entry;
  /** What is wrong with an entry beyond its schema, after the words "entry 3". Never holds a value that may be secret. */
  problem?(entry: Frozen<Static<Entry>>): string | undefined;
  create(entry: Frozen<Static<Entry>>, tools: FactorTools): Factor;
}
