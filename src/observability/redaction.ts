/** Field names whose values never reach a log, whatever object they are in. Compared in lower case. */
const secretFields: ReadonlySet<string> = new Set([
  "access_token",
  "accesstoken",
  "refresh_token",
  "refreshtoken",
  "id_token",
  "token",
  "code",
  "auth_code",
  "code_verifier",
  "codeverifier",
  "setup_code",
  "setupcode",
  "setup_link",
  "setuplink",
  "flow_secret",
  "flowsecret",
  "device_token",
  "devicetoken",
  "password",
  "current_password",
  "new_password",
  "secret",
  "user_input",
  "authorization",
  "cookie",
  "set-cookie",
  "proxy-authorization",
  "sec-websocket-protocol",
  "client_secret",
  "clientsecret",
  "client_assertion",
  "device_code",
  "devicecode",
  "user_code",
  "reset_code",
  "resetcode",
  "client_final",
  "initial_response",
  "currentpassword",
  "newpassword",
  "authsig",
]);
/** A `code` that is an error's: words of our tables, or one of the system's. An authorization code has digits. */
const errorCode = /^(?:[a-z]+(?:_[a-z]+)*|E[A-Z0-9]{2,15}|[A-Z]+(?:_[A-Z0-9]+)+)$/;
/** Without any of these a text holds nothing that is masked. */
const suspicious = /[\s=@]|eyJ/;

const masks: readonly [pattern: RegExp, mask: string][] = [
  [/eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, "[token]"],
  [/\b(Bearer|Basic)\s+[^\s"',;]+/gi, "$1 [redacted]"],
  [/\b([a-z][a-z+]*:\/\/)[^\s/?#"']*@/gi, "$1[redacted]@"],
  [
    /\b((?:[a-z]{1,16}_){0,3}(?:token|token_hint|code|code_verifier|assertion|password|secret)|authSig)=[^\s&"']+/gi,
    "$1=[redacted]",
  ],
];
const deepest = 6;
const longestText = 4096;

/** Tokens, credentials and URL passwords inside a text are masked. */
export function redactText(text: string): string {
  if (text.length <= longestText && !suspicious.test(text)) return text;
  // Masked before the cut, which could go through a secret.
  let plain = text.slice(0, 2 * longestText);
  for (const [pattern, mask] of masks) plain = plain.replace(pattern, mask);
  return text.length > longestText ? `${plain.slice(0, longestText)}…` : plain;
}

/**
 * What is logged with every secret field masked: the value itself if nothing in it is masked, a copy otherwise. Errors keep
 * name, code, message and stack. Bounded in depth.
 */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= deepest) return "[deep]";
  if (value instanceof Error) return redactError(value, depth);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return "[bytes]";
  // As it would be written: a URL, for instance.
  if ("toJSON" in value && typeof value.toJSON === "function") return redact(value.toJSON(), depth + 1);
  if (Array.isArray(value)) return value.slice(0, 64).map((item) => redact(item, depth + 1));
  return redactObject(value, depth);
}

function redactObject(value: object, depth: number): object {
  const fields = value as Readonly<Record<string, unknown>>;
  let copy: Record<string, unknown> | undefined;
  for (const name of Object.keys(value)) {
    const field = fields[name];
    const shown = isSecret(name, field) ? "[redacted]" : redact(field, depth + 1);
    if (shown === field) continue;
    copy ??= { ...fields };
    copy[name] = shown;
  }
  return copy ?? value;
}

function isSecret(name: string, value: unknown): boolean {
  if (value === undefined || value === null || !secretFields.has(name.toLowerCase())) return false;
  return !(
    name.toLowerCase() === "code" &&
    (typeof value === "number" || (typeof value === "string" && errorCode.test(value)))
  );
}

function redactError(error: Error, depth: number): object {
  return {
    name: error.name,
    ...("code" in error ? { code: redact(error.code, depth + 1) } : {}),
    message: redactText(error.message),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}
