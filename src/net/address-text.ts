/** The text of an address as Node writes it, with IPv4-mapped IPv6 as IPv4 and without a zone. */
export function plainAddress(text: string | undefined): string {
  if (text === undefined) return "";
  if (text.startsWith("::ffff:") && text.includes(".")) return text.slice(7);
  const zone = text.indexOf("%");
  return zone === -1 ? text : text.slice(0, zone);
}

/** The text of an address in network byte order: 4 bytes IPv4, 16 bytes IPv6 (RFC 5952), IPv4-mapped as IPv4. */
export function addressOfBytes(buffer: ArrayBuffer): string {
  const bytes = new Uint8Array(buffer);
  if (bytes.length === 4) return dotted(bytes, 0);
  if (bytes.length !== 16) return "";
  if (isMapped(bytes)) return dotted(bytes, 12);
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const zeros = longestZeroRun(groups);
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (zeros.length < 2) return hex(groups);
  return `${hex(groups.slice(0, zeros.start))}::${hex(groups.slice(zeros.start + zeros.length))}`;
}

function dotted(bytes: Uint8Array, from: number): string {
  return `${bytes[from]}.${bytes[from + 1]}.${bytes[from + 2]}.${bytes[from + 3]}`;
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  return best;
}
