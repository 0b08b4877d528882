/*
 * A reader of QR codes, written from ISO/IEC 18004 alone. It shares nothing with the library that draws them, so a
 * fault of that library is not read back as if it were right. The picture is clean: nothing is corrected, and what a
 * scanner would have to correct throws. Only what our pictures use is read: byte mode at the error correction level M.
 */

/** Whether the module is dark. Also outside of the picture, where nothing is. */
type Picture = (x: number, y: number) => boolean;

/** Light modules around the code, in which scanners find it. */
const quietZone = 4;
/** Of level M, by version from 1: codewords for error correction in a block, and blocks. */
const correctionWords = [
  10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28,
];
const blockCounts = [
  1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29,
  31, 33, 35, 37, 38, 40, 43, 45, 47, 49,
];

const masks: readonly ((x: number, y: number) => number)[] = [
  (x, y) => (x + y) % 2,
  (_, y) => y % 2,
  (x) => x % 3,
  (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

/** The text of the one QR code in an SVG whose unit is a module. Throws if a scanner might not read it. */
export function readQrSvg(svg: string): string {
  const { size: whole, dark: drawn } = pictureIn(svg);
  const size = whole - 2 * quietZone;
  const version = (size - 17) / 4;
  must(Number.isInteger(version) && version >= 1 && version <= 40, `a code of ${size} modules`);
  const dark: Picture = (x, y) => drawn(x + quietZone, y + quietZone);
  const centres = alignmentCentres(version, size);
  checkPatterns(dark, { size, version, centres });
  const mask = masks[maskOf(dark, size)] ?? (() => 1);
  const isData: Picture = (x, y) =>
    !(x < 9 && y < 9) &&
    !(x >= size - 8 && y < 9) &&
    !(x < 9 && y >= size - 8) &&
    x !== 6 &&
    y !== 6 &&
    !centres.some(([cx, cy]) => distance(x - cx, y - cy) <= 2) &&
    !(version >= 7 && ((x >= size - 11 && y < 6) || (x < 6 && y >= size - 11)));
  const bits: boolean[] = [];
  // Two columns at a time from the right, upwards and downwards in turns. The vertical timing pattern is skipped.
  for (let turn = 0, right = size - 1; right > 0; turn += 1, right -= right === 8 ? 3 : 2)
    for (let step = 0; step < size; step += 1)
      for (const x of [right, right - 1]) {
        const y = turn % 2 === 0 ? size - 1 - step : step;
        if (isData(x, y)) bits.push(dark(x, y) !== (mask(x, y) === 0));
      }
  return textOf(dataIn(wordsOf(bits), version), version);
}

/** What the rectangles of the paths paint, one over the other. Throws for any other shape, and if something shows through. */
function pictureIn(svg: string): { readonly size: number; readonly dark: Picture } {
  const size = Number(/ viewBox="0 0 (\d+) \1"/.exec(svg)?.[1]);
  const painted = Array.from({ length: size }, () => Array<boolean | undefined>(size).fill(undefined));
  for (const [, fill, shape = ""] of svg.matchAll(/<path fill="(#fff|#000)" d="([^"]*)"\/>/g)) {
    const rectangles = [...shape.matchAll(/M(\d+) (\d+)h(\d+)v(\d+)h-\3z/g)];
    must(rectangles.map(([text]) => text).join("") === shape, "a path of other shapes");
    for (const [, x = 0, y = 0, width = 0, height = 0] of rectangles.map((found) => found.map(Number)))
      for (const row of painted.slice(y, y + height)) row.fill(fill === "#000", x, x + width);
  }
  must(size > 0 && painted.flat().every((each) => each !== undefined), "a picture with gaps");
  return { size, dark: (x, y) => painted[y]?.[x] === true };
}

/** In rows and columns that the version says; not where the three finders are. */
function alignmentCentres(version: number, size: number): readonly (readonly [number, number])[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = version === 32 ? 26 : 2 * Math.ceil((version * 4 + 4) / (count * 2 - 2));
  const places = [6, ...Array.from({ length: count - 1 }, (_, at) => size - 7 - step * (count - 2 - at))];
  const isFinder = (x: number, y: number) =>
    (x === 6 && (y === 6 || y === size - 7)) || (x === size - 7 && y === 6);
  return places.flatMap((x) => places.filter((y) => !isFinder(x, y)).map((y) => [x, y] as const));
}

/** By what scanners find the code, and straighten it. */
function checkPatterns(
  dark: Picture,
  { size, version, centres }: { size: number; version: number; centres: ReturnType<typeof alignmentCentres> },
): void {
  const around = Array.from({ length: size + 2 * quietZone }, (_, at) => at - quietZone);
  const isInside = (at: number) => at >= 0 && at < size;
  const outside = around.flatMap((y) =>
    around.filter((x) => !isInside(x) || !isInside(y)).map((x) => [x, y]),
  );
  must(!outside.some(([x = 0, y = 0]) => dark(x, y)), "no quiet zone");
  const square = (what: string, [cx, cy]: readonly [number, number], rings: readonly boolean[]) => {
    const last = rings.length - 1;
    for (let y = -last; y <= last; y += 1)
      for (let x = -last; x <= last; x += 1) must(dark(cx + x, cy + y) === rings[distance(x, y)], what);
  };
  for (const [x, y] of [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ] as const)
    square("no finder", [x, y], [true, true, false, true, false]);
  for (const centre of centres) square("no alignment pattern", centre, [true, false, true]);
  for (let at = 8; at < size - 8; at += 1)
    must(dark(at, 6) === (at % 2 === 0) && dark(6, at) === (at % 2 === 0), "no timing pattern");
  must(dark(8, size - 8), "the module that is always dark is not");
  if (version < 7) return;
  const said = protectedBits(version, { checks: 12, generator: 0x1f25 });
  for (let bit = 0; bit < 18; bit += 1) {
    const [across, along] = [size - 11 + (bit % 3), Math.floor(bit / 3)];
    const isSet = isBitSet(said, bit);
    must(dark(across, along) === isSet && dark(along, across) === isSet, "another version is said");
  }
}

/** Which mask the format bits say, in both places. Throws for another level than M. */
function maskOf(dark: Picture, size: number): number {
  const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);
  // Bit 0 first: down beside the upper left finder and on to the left; from the right and then down to the lower left.
  const first = [
    ...[0, 1, 2, 3, 4, 5, 7, 8].map((y) => dark(8, y)),
    ...[7, 5, 4, 3, 2, 1, 0].map((x) => dark(x, 8)),
  ];
  const second = [
    ...upTo(8).map((at) => dark(size - 1 - at, 8)),
    ...upTo(7).map((at) => dark(8, size - 7 + at)),
  ];
  // The two bits of level M are 00.
  const found = masks.findIndex((_, mask) => {
    const said = protectedBits(mask, { checks: 10, generator: 0x537 }) ^ 0x5412;
    return [first, second].every((bits) => bits.every((bit, at) => bit === isBitSet(said, at)));
  });
  must(found >= 0, "no format bits of level M");
  return found;
}

/** The value with the remainder of a BCH code behind it. */
function protectedBits(value: number, { checks, generator }: { checks: number; generator: number }): number {
  let rest = value;
  for (let at = 0; at < checks; at += 1) rest = (rest << 1) ^ ((rest >>> (checks - 1)) * generator);
  return (value << checks) | rest;
}

/** The data of the blocks, in whose codewords a scanner finds nothing to correct. */
function dataIn(words: readonly number[], version: number): readonly number[] {
  const [count = 0, checks = 0] = [blockCounts[version - 1], correctionWords[version - 1]];
  const shortest = Math.floor(words.length / count) - checks;
  const longer = words.length % count;
  const blocks = Array.from({ length: count }, (): number[] => []);
  const rest = [...words];
  const deal = (to: readonly number[][]) => {
    for (const block of to) block.push(rest.shift() ?? 0);
  };
  for (let at = 0; at < shortest; at += 1) deal(blocks);
  deal(blocks.slice(count - longer));
  const data = blocks.flat();
  for (let at = 0; at < checks; at += 1) deal(blocks);
  for (const block of blocks)
    for (let power = 0, root = 1; power < checks; power += 1, root = product(root, 2))
      must(block.reduce((sum, word) => product(sum, root) ^ word, 0) === 0, "a wrong codeword");
  return data;
}

/** In the field of 256 elements that Reed-Solomon codes of QR codes use. */
function product(a: number, b: number): number {
  let sum = 0;
  for (let bit = 7; bit >= 0; bit -= 1) sum = (sum << 1) ^ ((sum >>> 7) * 0x11d) ^ (isBitSet(b, bit) ? a : 0);
  return sum;
}

function textOf(data: readonly number[], version: number): string {
  const bits = data.map((word) => word.toString(2).padStart(8, "0")).join("");
  const lengthBits = version < 10 ? 8 : 16;
  must(bits.startsWith("0100"), "another mode than bytes");
  const start = 4 + lengthBits;
  const end = start + 8 * Number.parseInt(bits.slice(4, start), 2);
  must(end <= bits.length && /^0*$/.test(bits.slice(end, end + 4)), "more than one text");
  const bytes = bits.slice(start, end).match(/.{8}/g) ?? [];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return decoder.decode(Uint8Array.from(bytes, (byte) => Number.parseInt(byte, 2)));
}

/** Bits that do not fill a codeword are left over. */
function wordsOf(bits: readonly boolean[]): readonly number[] {
  const word = (at: number) => bits.slice(8 * at, 8 * at + 8).reduce((sum, bit) => 2 * sum + Number(bit), 0);
  return Array.from({ length: Math.floor(bits.length / 8) }, (_, at) => word(at));
}

function distance(x: number, y: number): number {
  return Math.max(Math.abs(x), Math.abs(y));
}

function isBitSet(value: number, bit: number): boolean {
  return ((value >>> bit) & 1) === 1;
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(`a scanner would not read it: ${otherwise}`);
}
