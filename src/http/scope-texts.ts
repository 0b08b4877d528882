import type { Language } from "./languages.ts";

export interface ScopeTexts {
  /** For a client without scopes. */
  readonly everything: string;
  /** By scope. Others mean something to backends only, so they stand as they are. */
  readonly scopes: Readonly<Record<string, string>>;
}

const english: ScopeTexts = {
  everything: "Everything that you may do here, until its session is ended",
  scopes: {
    openid: "Knowing who you are",
    profile: "Your name",
    groups: "Your groups",
    offline_access: "Access while you are away",
    api: "Everything that you may do here, until its session is ended",
  },
};

const german: ScopeTexts = {
  everything: "Alles, was Sie hier dürfen, bis ihre Sitzung beendet wird",
  scopes: {
    openid: "Wissen, wer Sie sind",
    profile: "Ihr Name",
    groups: "Ihre Gruppen",
    offline_access: "Zugriff, während Sie nicht da sind",
    api: "Alles, was Sie hier dürfen, bis ihre Sitzung beendet wird",
  },
};

/** What a person reads of what an app asks for. */
export const scopeTexts: Readonly<Record<Language, ScopeTexts>> = { en: english, de: german };
