import { AuthError } from "../auth/errors.ts";
import type { HttpRequest } from "./endpoint.ts";
import { urlencodedEntries } from "./urlencoded.ts";

/** The fields of a form. Each name is there once, each value is a string that is not empty (RFC 6749 section 3.2). */
export type Form = ReadonlyMap<string, string>;

const mostFields = 32;
/** Lines of a multipart body. A field takes five. No OAuth request has values of many lines. */
const mostLines = 160;
const lineFeed = 0x0a;
const ampersand = 0x26;

/**
 * The form in a body, in either of the two encodings that Home Assistant's clients use. As in Home Assistant, a body
 * of any other media type has no fields. Throws `invalid_format` for a body that cannot be read, a file, a charset
 * other than UTF-8, ASCII and ISO-8859-1, and a name that comes twice; `payload_too_large`.
 */
export async function readForm(request: HttpRequest, maxBytes: number): Promise<Form> {
  const type = mediaTypeOf(request);
  const bytes = bodyOf(request, maxBytes);
  if (type.essence === "application/x-www-form-urlencoded") {
    return fieldsOf(entriesOf(bytes, type.charset));
  }
  if (type.essence === "multipart/form-data") return fieldsOf(await parseMultipart(bytes, type.header));
  return new Map();
}

/** A schema, as typebox's `Compile` returns it. */
export interface Validator<T> {
  Check(value: unknown): value is T;
}

/**
 * A flat JSON body that fits the schema, with strings of well-formed Unicode. Throws `invalid_format`,
 * `payload_too_large`.
 */
export async function readJson<T>(
  request: HttpRequest,
  maxBytes: number,
  validator: Validator<T>,
): Promise<T> {
  if (mediaTypeOf(request).essence === "application/json")
    return await readJsonOfAnyType(request, maxBytes, validator);
  bodyOf(request, maxBytes);
  throw malformed("not application/json");
}

/**
 * The same, whatever the request says it is: Home Assistant's login page sends JSON as `text/plain`. A page of another
 * site can send that without a preflight, so only for endpoints whose answer it would have to read to gain anything.
 */
export async function readJsonOfAnyType<T>(
  request: HttpRequest,
  maxBytes: number,
  validator: Validator<T>,
): Promise<T> {
  const bytes = bodyOf(request, maxBytes);
  const value = parseJson(textOf(bytes));
  if (!validator.Check(value) || !isWellFormed(value)) throw malformed("the body does not fit its schema");
  return value;
}

/** Decodes JSON as a socket's codec does. Throws for anything that a socket refuses. */
export type DecodeJson = (text: string) => unknown;

/**
 * JSON that any socket may be sent: plain data. Throws `invalid_format`, `payload_too_large`. A page of another site can send it
 * without a preflight, so only for endpoints that need a token in a header.
 */
export function readPlainJson(request: HttpRequest, maxBytes: number, decode: DecodeJson): unknown {
  const text = textOf(bodyOf(request, maxBytes));
  try {
    return decode(text);
  } catch {
    throw malformed("the body is no JSON, or not plain data");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed("the body is no JSON");
  }
}

/**
 * An escape can write half of a surrogate pair, which no message on a socket may hold. Looks at a value that fits its
 * schema, which has few keys: a reviver would run for each key of 65 KB.
 */
function isWellFormed(value: unknown): boolean {
  const texts = typeof value === "object" && value !== null ? Object.values(value) : [value];
  return !texts.some((text) => typeof text === "string" && /\p{Surrogate}/u.test(text));
}

function bodyOf({ body }: HttpRequest, maxBytes: number): Uint8Array {
  if (body.byteLength > maxBytes) throw new AuthError("payload_too_large");
  return body;
}

/** Stops at the first one above `most`. */
function hasMoreThan(most: number, byte: number, bytes: Uint8Array): boolean {
  let at = -1;
  for (let count = 0; count <= most; count += 1) {
    at = bytes.indexOf(byte, at + 1);
    if (at === -1) return false;
  }
  return true;
}

/**
 * Parts and their header fields are lines, whatever the boundary is. They are counted before they are parsed: the
 * parser has no limit of its own, and took 27 ms for 65 KB of the smallest files.
 */
async function parseMultipart(bytes: Uint8Array, contentType: string): Promise<FormData> {
  if (hasMoreThan(mostLines, lineFeed, bytes)) throw malformed("too many lines");
  try {
    return await new Response(bytes.slice(), { headers: { "content-type": contentType } }).formData();
  } catch {
    throw malformed("the multipart body cannot be read");
  }
}

/** Fields are counted before they are parsed: 65 KB of the smallest fields take 5 ms. */
function entriesOf(bytes: Uint8Array, charset: string | undefined) {
  if (hasMoreThan(mostFields, ampersand, bytes)) throw malformed("too many fields");
  try {
    const entries = urlencodedEntries(bytes, charset);
    if (entries !== undefined) return entries;
  } catch {
    throw malformed("the body is not in its charset");
  }
  throw malformed("unknown charset");
}

function fieldsOf(entries: Iterable<readonly [string, FormDataEntryValue]>): Form {
  const fields = new Map<string, string>();
  let count = 0;
  for (const [name, value] of entries) {
    count += 1;
    if (count > mostFields) throw malformed("too many fields");
    if (typeof value !== "string") throw malformed("a file in a form");
    if (fields.has(name)) throw malformed("a field is given twice");
    fields.set(name, value);
  }
  for (const [name, value] of fields) if (value === "") fields.delete(name);
  return fields;
}

function mediaTypeOf(request: HttpRequest) {
  const header = request.headers.get("content-type") ?? "";
  const [essence = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((part) => part.startsWith("charset="))?.slice("charset=".length);
  return { header, essence, charset: charset?.replaceAll('"', "") };
}

function textOf(bytes: Uint8Array): string {
  try {
    // A byte order mark stays: no JSON begins with it.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed("the body is no UTF-8");
  }
}

function malformed(detail: string): AuthError {
  return new AuthError("invalid_format", { detail });
}
