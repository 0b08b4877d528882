/*
 * SHA-256 (FIPS 180-4) and HMAC (RFC 2104). Browsers have them for pages from https and from localhost only, and many
 * gateways are reached at `http://` in a home.
 */

const blockBytes = 64;

/** The first 32 bits of the fractional parts of cube and square roots of the first primes (FIPS 180-4 sections 4.2.2, 5.3.3). */
const [rounds, start] = constants();

function constants(): readonly [Uint32Array, Uint32Array] {
  const cubes = new Uint32Array(64);
  const squares = new Uint32Array(8);
  const fraction = (root: number) => Math.floor((root - Math.floor(root)) * 2 ** 32);
  for (let number = 2, found = 0; found < 64; number += 1) {
    let isPrime = true;
    for (let divisor = 2; divisor * divisor <= number; divisor += 1) isPrime &&= number % divisor !== 0;
    if (!isPrime) continue;
    cubes[found] = fraction(Math.cbrt(number));
    if (found < 8) squares[found] = fraction(Math.sqrt(number));
    found += 1;
  }
  return [cubes, squares];
}

export function sha256(message: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((message.length + 9) / blockBytes) * blockBytes);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(message.length / 2 ** 29));
  view.setUint32(padded.length - 4, (message.length << 3) >>> 0);
  const state = start.slice();
  const words = new Uint32Array(64);
  for (let block = 0; block < padded.length; block += blockBytes) compress(state, words, view, block);
  padded.fill(0);
  words.fill(0);
  const digest = new Uint8Array(32);
  const out = new DataView(digest.buffer);
  state.forEach((word, place) => {
    out.setUint32(place * 4, word);
  });
  return digest;
}

/** One block (FIPS 180-4 section 6.2.2). */
function compress(state: Uint32Array, words: Uint32Array, view: DataView, block: number): void {
  const at = (list: Uint32Array, place: number) => list[place] ?? 0;
  const turn = (word: number, bits: number) => (word >>> bits) | (word << (32 - bits));
  for (let t = 0; t < 16; t += 1) words[t] = view.getUint32(block + t * 4);
  for (let t = 16; t < 64; t += 1) {
    const early = at(words, t - 15);
    const late = at(words, t - 2);
    const small0 = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
    const small1 = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
    words[t] = at(words, t - 16) + small0 + at(words, t - 7) + small1;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let t = 0; t < 64; t += 1) {
    const big1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const one = (h + big1 + ((e & f) ^ (~e & g)) + at(rounds, t) + at(words, t)) | 0;
    const big0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const two = (big0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, place) => {
    state[place] = at(state, place) + word;
  });
}

export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
  const short = key.length > blockBytes ? sha256(key) : key;
  const masked = (mask: number, rest: Uint8Array) => {
    const bytes = new Uint8Array(blockBytes + rest.length).fill(mask, 0, blockBytes);
    short.forEach((byte, place) => {
      bytes[place] = byte ^ mask;
    });
    bytes.set(rest, blockBytes);
    const digest = sha256(bytes);
    bytes.fill(0);
    return digest;
  };
  return masked(0x5c, masked(0x36, message));
}
