export const VARIABLE_PREFIX = "GATEHOUSE_";

/** Gatehouse's variables that are not options. Every command takes them, also if it does not use them. */
export const otherVariables = {
  /** The configuration's file. */
  config: `${VARIABLE_PREFIX}CONFIG`,
  /** The token of `gatehouse call`. */
  accessToken: `${VARIABLE_PREFIX}ACCESS_TOKEN`,
} as const;

const others: ReadonlySet<string> = new Set(Object.values(otherVariables));

export const isOtherVariable = (variable: string): boolean => others.has(variable);
