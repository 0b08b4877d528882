import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { FormField } from "../../../../protocol/flow.ts";
import type { ProviderStep } from "../provider.ts";

const strict = { additionalProperties: false } as const;
const Word = Type.String({ minLength: 1, maxLength: 64 });
const Texts = Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 1024 }));
const step = {
  stepId: Word,
  placeholders: Type.Optional(Texts),
  state: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
};
const about = { userId: Type.Optional(Word) };

const Step = Compile(
  Type.Union([
    Type.Object(
      {
        kind: Type.Literal("form"),
        ...step,
        ...about,
        fields: Type.Array(FormField, { minItems: 1, maxItems: 32 }),
        errors: Type.Optional(Texts),
      },
      strict,
    ),
    Type.Object(
      {
        kind: Type.Literal("external"),
        ...step,
        ...about,
        url: Type.String({ minLength: 1, maxLength: 4096 }),
      },
      strict,
    ),
    Type.Object({ kind: Type.Literal("progress"), ...step, ...about, action: Word }, strict),
    Type.Object({ kind: Type.Literal("abort"), ...about, reason: Word }, strict),
    Type.Object(
      {
        kind: Type.Literal("done"),
        ...about,
        subject: Type.String({ minLength: 1, maxLength: 1024 }),
        amr: Type.Array(Word, { maxItems: 16 }),
        profile: Type.Optional(
          Type.Object(
            {
              name: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
              groupIds: Type.Optional(Type.Array(Word, { maxItems: 256 })),
              localOnly: Type.Optional(Type.Boolean()),
            },
            strict,
          ),
        ),
        linkTo: Type.Optional(Word),
        evidence: Type.Optional(
          Type.Array(Type.Object({ key: Type.String(), version: Type.Integer() }, strict), { maxItems: 64 }),
        ),
      },
      strict,
    ),
  ]),
);

/**
 * A module's answer as a step; undefined if it is none. It is a copy: what the module does to its own later has no
 * effect.
 */
export function readModuleStep(answer: unknown): ProviderStep | undefined {
  // Members that are undefined count as absent, and what is no plain data cannot be a step.
  const copy = plainCopy(answer);
  if (!Step.Check(copy)) return undefined;
  const read = copy.kind === "done" ? { ...copy, evidence: copy.evidence ?? [] } : copy;
  // The schema says what the compiler cannot see through a union of objects with optional members.
  return read as ProviderStep;
}

function plainCopy(answer: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(answer)) as unknown;
  } catch {
    return undefined;
  }
}
