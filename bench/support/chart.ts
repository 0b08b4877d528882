import { median, plain } from "./figures.ts";
import type { Published } from "./result.ts";

const WIDTH = 760;
/** Width of a character of 13 px system-ui, on average and with a margin. */
const CHARACTER = 7;
const RIGHT = 110;
const BAR = 22;
const GAP = 8;
const TOP = 58;

/**
 * Bars of the main column, one for each contender, with the spread of the rounds as a thin line. Readable in light and
 * dark mode.
 */
export function chartOf(result: Published): string {
  const { column, lessIsBetter } = result.main;
  const bars = result.contenders.flatMap(({ name, figures }) => {
    const found = figures[column];
    const values = found?.values.filter(Number.isFinite) ?? [];
    return found === undefined || values.length === 0 ? [] : [{ name, unit: found.unit, values }];
  });
  const most = Math.max(...bars.flatMap(({ values }) => values), Number.MIN_VALUE);
  const left = 20 + CHARACTER * Math.max(20, ...bars.map(({ name }) => name.length));
  const scale = (value: number) => (value / most) * (WIDTH - left - RIGHT);
  const height = TOP + bars.length * (BAR + GAP) + 34;
  const drawn = bars.map(({ name, unit, values }, place) => {
    const y = TOP + place * (BAR + GAP);
    const middle = median(values);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const kind = name.startsWith("gatehouse") ? "ours" : name.startsWith("bare") ? "floor" : "peer";
    return [
      `<text class="name" x="${left - 8}" y="${y + 15}" text-anchor="end">${escaped(name)}</text>`,
      `<rect class="${kind}" x="${left}" y="${y}" width="${scale(middle).toFixed(1)}" height="${BAR}" rx="2"/>`,
      `<line class="spread" x1="${(left + scale(low)).toFixed(1)}" x2="${(left + scale(high)).toFixed(1)}" y1="${y + BAR / 2}" y2="${y + BAR / 2}"/>`,
      `<text class="value" x="${(left + scale(high) + 6).toFixed(1)}" y="${y + 15}">${escaped(`${plain(middle)} ${unit}`)}</text>`,
    ].join("\n");
  });
  const text = `${column}; ${lessIsBetter ? "less" : "more"} is better. Median of the rounds, line: lowest to highest round.`;
  return framed(result, { width: WIDTH, height, text, drawn });
}

export interface Drawing {
  readonly width: number;
  readonly height: number;
  /** Placed under the title. */
  readonly text: string;
  /** SVG elements. */
  readonly drawn: readonly string[];
}

/** The whole file: title, colours of both modes, and where and how it was measured. */
export function framed(result: Published, { width, height, text, drawn }: Drawing): string {
  const { machine } = result;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(result.title)}">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 15px; } .small { font-size: 11px; fill: #59636e; }
.ours { fill: #1a7f37; } .floor { fill: #8c959f; } .peer { fill: #0969da; } .spread { stroke: #1f2328; stroke-width: 1.5; }
.grid { stroke: #d1d9e0; } .limit { stroke: #cf222e; stroke-width: 2; } .aside { fill: none; stroke: #59636e; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; } .small { fill: #9198a1; } .ours { fill: #3fb950; } .floor { fill: #6e7681; } .peer { fill: #4493f8; }
.spread { stroke: #f0f6fc; } .grid { stroke: #3d444d; } .limit { stroke: #f85149; } .aside { stroke: #9198a1; } }
</style>
<text class="title" x="12" y="22">${escaped(result.title)}</text>
<text class="small" x="12" y="42">${escaped(text)}</text>
${drawn.join("\n")}
<text class="small" x="12" y="${height - 12}">${escaped(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${result.at.slice(0, 10)}. ${result.command}`)}</text>
</svg>
`;
}

export function escaped(text: string): string {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
