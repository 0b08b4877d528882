/** The languages that pages made here have. */
const languages = ["en", "de"] as const;
export type Language = (typeof languages)[number];

/** Of our languages the one that `Accept-Language` (RFC 9110 section 12.5.4) wants most. English for everybody else. */
export function languageFor(acceptLanguage: string | undefined): Language {
  const wanted = (acceptLanguage ?? "").slice(0, 512).split(",").map(parseRange);
  const byWeight = wanted.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight);
  for (const { primary } of byWeight) {
    const found = languages.find((language) => language === primary);
    if (found !== undefined) return found;
  }
  return "en";
}

function parseRange(range: string): { readonly primary: string; readonly weight: number } {
  const [tag = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  const weight = quality === undefined ? 1 : Number(quality);
  return { primary: tag.split("-")[0] ?? "", weight: Number.isNaN(weight) ? 0 : weight };
}
