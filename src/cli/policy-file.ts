import { readFile } from "node:fs/promises";
import { Compile } from "typebox/compile";

import { Policy } from "../../protocol/policy.ts";
import { policyProblem } from "../auth/permissions/policy-problem.ts";
import { CodecError } from "../codec/codec.ts";
import { createJsonCodec } from "../codec/json.ts";
import { UsageError } from "./output.ts";

const shape = Compile(Policy);
const json = createJsonCodec();

/** The policy in a JSON file, which takes what a message on a socket takes. Throws `UsageError`. */
export async function readPolicyFile(file: string): Promise<Policy> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new UsageError(`cannot read ${file}`);
  });
  const policy = parsed(text, file);
  if (shape.Check(policy)) return policy;
  throw new UsageError(`${file} is no policy: ${policyProblem(policy) ?? "it does not fit"}`);
}

function parsed(text: string, file: string): unknown {
  try {
    // Editors of some systems begin a file with a byte order mark.
    return json.decode(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new UsageError(`${file} cannot be read as JSON: ${error.message}`);
  }
}
