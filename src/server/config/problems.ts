/** One mistake in the configuration. */
export interface Problem {
  /** The option, or the unknown name that was used. Empty for a whole file. */
  readonly key: string;
  /** Where it was given: a file's name, a variable, a flag. */
  readonly source: string;
  /** What is wrong and what is allowed. Never the value, which may be a secret. */
  readonly message: string;
}

/** What an operator gave cannot be used: the configuration, a file or a folder. `message` is for that operator. */
export abstract class OperatorError extends Error {}

/** The configuration cannot be used. `message` has one line for each problem. */
export class ConfigError extends OperatorError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(lineOf).join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

function lineOf({ key, source, message }: Problem): string {
  return key === "" ? `${source}: ${message}` : `${key} (${source}): ${message}`;
}
