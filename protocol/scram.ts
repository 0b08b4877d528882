/**
 * Login with a password that does not cross the wire: the messages of SCRAM (RFC 5802) with SHA-256, and scrypt (RFC 7914)
 * in place of PBKDF2. So the names of the mechanisms are not those of RFC 7677.
 */
export const SCRAM_MECHANISM = "SCRAM-SCRYPT";
/** The same, bound to the TLS connection (RFC 5802 section 6, RFC 9266). */
export const SCRAM_PLUS_MECHANISM = "SCRAM-SCRYPT-PLUS";

/** The step whose form takes `client_final`. Its placeholders have `server_first`. */
export const SCRAM_STEP = "scram";

/** RFC 9266: the type, and the label and length of the TLS exporter's value. Its context is empty. */
export const channelBinding = {
  type: "tls-exporter",
  label: "EXPORTER-Channel-Binding",
  bytes: 32,
} as const;

export const scramLimits = {
  /** Fewest and most characters of each side's nonce. */
  nonce: { least: 16, most: 128 },
  /** Fewest and most bytes of a salt. */
  salt: { least: 16, most: 64 },
  /** Longest message in UTF-16 units, the limit of a text in a form. */
  message: 1024,
} as const;

/** The cost of scrypt, in the names of RFC 7914. */
export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/**
 * What a proof may cost. `least` is OWASP's and ASVS's floor with the least memory, N=2^15, r=8, p=3. `most` is four times
 * the work and twice the memory of N=2^17, r=8, p=1. `block`: N * r, which is the memory in units of 128 bytes.
 */
export const proofCost = {
  least: { block: 2 ** 15 * 8, work: 2 ** 15 * 8 * 3 },
  most: { block: 2 ** 18 * 8, work: 2 ** 19 * 8, r: 32, p: 16 },
} as const;

/** Whether both sides carry out a proof at this cost. A side refuses any other, whatever the other side says. */
export function isProofCost({ N, r, p }: ScryptCost): boolean {
  if (![N, r, p].every((value) => Number.isSafeInteger(value) && value >= 1)) return false;
  const { least, most } = proofCost;
  if (N < 2 || !Number.isInteger(Math.log2(N)) || r > most.r || p > most.p) return false;
  // RFC 7914 section 2.
  if (Math.log2(N) >= 16 * r) return false;
  const block = N * r;
  return block >= least.block && block <= most.block && block * p >= least.work && block * p <= most.work;
}

/** Printable ASCII without the comma (RFC 5802 section 7, `nonce`). */
const nonceShape = /^[!-+\x2d-~]+$/;

/** Whether a side's nonce has the characters and the length that this protocol asks for. */
export function isNonce(nonce: string): boolean {
  const { least, most } = scramLimits.nonce;
  return nonce.length >= least && nonce.length <= most && nonceShape.test(nonce);
}

/**
 * The attributes of a message, `x=value` with a comma between, in their order. Undefined if the text is not of that form,
 * has a name twice, or an extension that must be understood.
 */
export function attributesOf(text: string): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>();
  if (text.length > scramLimits.message) return undefined;
  for (const part of text.split(",")) {
    const name = part.charAt(0);
    // `m=` is an extension that must be understood (RFC 5802 section 5.1), and none is.
    if (!/^[A-Za-ln-z]$/.test(name) || part.charAt(1) !== "=" || part.length < 3 || found.has(name))
      return undefined;
    found.set(name, part.slice(2));
  }
  return found;
}

/** RFC 5802 section 3: what both sides sign. */
export function authMessage(messages: {
  readonly clientFirstBare: string;
  readonly serverFirst: string;
  readonly clientFinalWithoutProof: string;
}): string {
  return `${messages.clientFirstBare},${messages.serverFirst},${messages.clientFinalWithoutProof}`;
}
