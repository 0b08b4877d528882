/** As long as a name that an administrator may give. */
const longest = 128;
/** Characters that change how the text around them is shown, or show nothing. */
const unseen = /[\p{Cc}\p{Cf}\p{Co}\p{Surrogate}\p{Zl}\p{Zp}]/gu;

/** A display name that came from outside, as it may be stored; undefined if nothing is left of it. */
export function profileName(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const shown = [...text.replaceAll(unseen, " ").trim()].slice(0, longest).join("");
  return shown === "" ? undefined : shown;
}
