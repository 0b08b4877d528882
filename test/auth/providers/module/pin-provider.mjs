// An example: people on a list, each with a PIN. In gatehouse.yaml:
//
//   auth_providers:
//     - type: module
//       id: pins
//       path: ./pin-provider.mjs
//       options: {pins: {ada: "4711"}}
import { createHash, timingSafeEqual } from "node:crypto";

const fields = [
  { name: "username", type: "string", required: true },
  { name: "password", type: "string", required: true },
];
const form = { kind: "form", stepId: "init", fields };
const digest = (text) => createHash("sha256").update(text).digest();

/** @type {import("gatehouse-gateway").ProviderModule<{ pins: Record<string, string> }>} */
export default {
  options: {
    type: "object",
    properties: { pins: { type: "object", additionalProperties: { type: "string", minLength: 4 } } },
    required: ["pins"],
    additionalProperties: false,
  },
  create({ pins }, tools) {
    const pinOf = new Map(Object.entries(pins).map(([name, pin]) => [tools.normaliseLoginName(name), pin]));
    return {
      newUsers: { activate: false, groups: ["system-users"] },
      // Tries at a PIN are counted and limited for this name.
      guessedName: (_stepId, input) => tools.normaliseLoginName(input.username),
      begin: () => form,
      advance(_stepId, input) {
        const subject = tools.normaliseLoginName(input.username);
        // The same work for a name that is not on the list.
        const right = timingSafeEqual(digest(pinOf.get(subject) ?? ""), digest(input.password));
        if (!right || !pinOf.has(subject)) return { ...form, errors: { base: "invalid_auth" } };
        return { kind: "done", subject, amr: ["pin"], profile: { name: input.username } };
      },
    };
  },
};
