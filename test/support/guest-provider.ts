import type { LoginProvider, NewUsers, Profile, ProviderStep } from "../../src/auth/providers/provider.ts";

/** A provider that believes whoever says a name, and tells what the test sets of them. */
export interface GuestProvider extends LoginProvider {
  profile: Profile | undefined;
  linkTo: string | undefined;
  newUsers: NewUsers | undefined;
  /** Undefined: it judges no addresses. */
  admits: LoginProvider["admits"];
}

const form: ProviderStep = {
  kind: "form",
  stepId: "init",
  fields: [{ name: "name", type: "string", required: true }],
};

export function guestProvider(newUsers?: NewUsers, id: string | null = null): GuestProvider {
  return {
    type: "guest",
    id,
    name: "Guests",
    supportsMfa: false,
    newUsers,
    profile: undefined,
    linkTo: undefined,
    admits: undefined,
    begin: async () => form,
    async advance(_stepId, { name }) {
      const { profile, linkTo } = this;
      if (name === "wrong") return { ...form, errors: { base: "invalid_auth" } };
      return { kind: "done", subject: String(name), amr: ["user"], evidence: [], profile, linkTo };
    },
  };
}
