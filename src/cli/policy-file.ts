import { readFile } from "node:fs/promises";
import { Compile } from "typebox/compile";

import { Policy } from "../../protocol/policy.ts";
import { policyProblem } from "../auth/permissions/policy-problem.ts";
import { UsageError } from "./output.ts";

const shape = Compile(Policy);

/** The policy in a JSON file. Throws `UsageError`. */
export async function readPolicyFile(file: string): Promise<Policy> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new UsageError(`cannot read ${file}`);
  });
  const policy = parsed(text, file);
  if (shape.Check(policy)) return policy;
  throw new UsageError(`${file} is no policy. ${policyProblem(policy) ?? ""}`.trim());
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`${file} is no JSON`);
  }
}
