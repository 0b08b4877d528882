import { AuthError } from "../auth/errors.ts";
import type { Decision, DecisionName } from "./audit.ts";
import type { Recorder } from "./recorded-login.ts";

/** How one member of the domain is recorded. */
export type Rule<Member> = (member: Member, recorder: Recorder) => Member;

/** A rule for every member: one that is added to a part of the domain, and forgotten here, does not compile. */
export type Rules<Part> = { readonly [Name in keyof Part]: Rule<Part[Name]> };

/** It decides nothing about rights. */
export const notRecorded = <Member>(member: Member): Member => member;

export type About = Omit<Decision, "actor" | "reason">;

type Call = (...args: never[]) => Promise<unknown>;

/** Writes one record for each call, whatever its outcome. `found` adds what only the result says. */
export function records<Member extends Call>(
  name: DecisionName,
  about: (...args: Parameters<Member>) => About,
  found: (result: Awaited<ReturnType<Member>>) => About = () => ({}),
): Rule<Member> {
  return (call, { actor, audit }) => {
    const recordedCall = async (...args: Parameters<Member>) => {
      const known = { ...about(...args), actor };
      try {
        const result = (await call(...args)) as Awaited<ReturnType<Member>>;
        audit.decided(name, "allowed", { ...known, ...found(result) });
        return result;
      } catch (error) {
        const reason = error instanceof AuthError ? error.code : "unknown_error";
        audit.decided(name, "denied", { ...known, reason });
        throw error;
      }
    };
    return recordedCall as Call as Member;
  };
}

/** A part of the domain, recorded. Members that are read anew at each use, such as `view.trusted`, stay what they are. */
export function recorded<Part extends object>(rules: Rules<Part>): Rule<Part> {
  return (part, recorder) => {
    const names = Object.keys(rules) as (keyof Part)[];
    const apply = <Name extends keyof Part>(name: Name): [Name, Part[Name]] => [
      name,
      part[name] === undefined ? part[name] : rules[name](part[name], recorder),
    ];
    return Object.fromEntries(names.map(apply)) as Part;
  };
}
