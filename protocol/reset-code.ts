/**
 * Reset codes: twenty letters of Crockford's base32 after a word that no password of a person begins with by chance, so a
 * client knows one by its shape. It sends it as a password in the form, and does not prove it: the server keeps only a
 * hash of it.
 */
const shape = /^reset[0-9a-z]{20}$/i;

export function isResetCode(text: string): boolean {
  return shape.test(text.replace(/[\s-]/g, ""));
}

/** The step whose form takes `new_password`, after a reset code was right. */
export const NEW_PASSWORD_STEP = "new_password";
