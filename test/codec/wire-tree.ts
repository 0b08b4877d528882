import fc from "fast-check";

/**
 * A message as it is written, before any codec: objects are lists of members, so that keys may repeat, and numbers and
 * texts may be invalid.
 */
export type WireTree =
  | { readonly kind: "plain"; readonly value: null | boolean | number | string }
  | { readonly kind: "items"; readonly items: readonly WireTree[] }
  | { readonly kind: "members"; readonly members: readonly (readonly [string, WireTree])[] };

const hostileKeys = [
  "__proto__",
  "constructor",
  "prototype",
  "\ud800",
  "",
  "a",
  "a",
  "toJSON",
  "hasOwnProperty",
];
const hostileTexts = [
  "\udc00",
  "\ud83d\ude00",
  "\ufeff",
  `\ufeff${"a".repeat(70)}`,
  "\u0000",
  '"\\',
  "[{:",
  "é",
];
const edgeNumbers = [
  2 ** 53 - 1,
  1 - 2 ** 53,
  2 ** 53,
  -(2 ** 53),
  1e300,
  5e-324,
  -0,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
];

const harmless = fc.record({
  kind: fc.constant("plain" as const),
  value: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    fc.string({ unit: "binary", maxLength: 90 }),
  ),
});
const hostile = fc.record({
  kind: fc.constant("plain" as const),
  value: fc.oneof(fc.constantFrom(...hostileTexts), fc.constantFrom(...edgeNumbers)),
});

function treeOf(leaf: fc.Arbitrary<WireTree>, key: fc.Arbitrary<string>): fc.Arbitrary<WireTree> {
  const { tree } = fc.letrec<{ tree: WireTree }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 20, depthSize: "medium", withCrossShrink: true },
      leaf,
      fc.record({ kind: fc.constant("items" as const), items: fc.array(tie("tree"), { maxLength: 4 }) }),
      fc.record({
        kind: fc.constant("members" as const),
        members: fc.array(fc.tuple(key, tie("tree")), { maxLength: 5 }),
      }),
    ),
  }));
  return tree;
}

/** Mostly what a codec accepts. */
export const plainTree = treeOf(harmless, fc.string({ unit: "binary", minLength: 1, maxLength: 30 }));
/** Often what a codec refuses. */
export const hostileTree = treeOf(
  fc.oneof({ weight: 3, arbitrary: harmless }, { weight: 1, arbitrary: hostile }),
  fc.oneof({ weight: 4, arbitrary: fc.string({ maxLength: 12 }) }, fc.constantFrom(...hostileKeys)),
);
/** A chain of nested containers around a leaf. */
export const deepTree = fc
  .tuple(fc.array(fc.boolean(), { minLength: 12, maxLength: 20 }), harmless)
  .map(([kinds, leaf]) =>
    kinds.reduce<WireTree>(
      (inner, isArray) =>
        isArray ? { kind: "items", items: [inner] } : { kind: "members", members: [["k", inner]] },
      leaf,
    ),
  );

export function jsonOf(tree: WireTree): string {
  switch (tree.kind) {
    case "plain":
      return Object.is(tree.value, -0) ? "-0" : JSON.stringify(tree.value);
    case "items":
      return `[${tree.items.map(jsonOf).join(",")}]`;
    case "members":
      return `{${tree.members.map(([key, value]) => `${JSON.stringify(key)}:${jsonOf(value)}`).join(",")}}`;
  }
}

/** Written here and not by msgpackr, which cannot write what must be refused. */
export function msgpackOf(tree: WireTree): Buffer {
  switch (tree.kind) {
    case "plain":
      return plainBytes(tree.value);
    case "items":
      return Buffer.concat([lengthHead(0xdc, tree.items.length), ...tree.items.map(msgpackOf)]);
    case "members":
      return Buffer.concat([
        lengthHead(0xde, tree.members.length),
        ...tree.members.flatMap(([key, value]) => [textBytes(key), msgpackOf(value)]),
      ]);
  }
}

function plainBytes(value: null | boolean | number | string): Buffer {
  if (value === null) return Buffer.of(0xc0);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === "string") return textBytes(value);
  const bytes = Buffer.alloc(9);
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 62 && !Object.is(value, -0)) {
    bytes[0] = 0xd3;
    bytes.writeBigInt64BE(BigInt(value), 1);
  } else {
    bytes[0] = 0xcb;
    bytes.writeDoubleBE(value, 1);
  }
  return bytes;
}

function lengthHead(type: number, length: number): Buffer {
  return Buffer.of(type, length >> 8, length & 0xff);
}

/** UTF-8, with lone surrogates encoded as if they were characters. */
function textBytes(text: string): Buffer {
  const bytes = [...text].flatMap((character) => {
    const code = character.codePointAt(0) ?? 0;
    const lone = code >= 0xd800 && code <= 0xdfff;
    return lone ? [0xed, 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)] : [...Buffer.from(character)];
  });
  return Buffer.concat([lengthHead(0xda, bytes.length), Buffer.from(bytes)]);
}
