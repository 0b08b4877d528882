import { escaped, framed } from "./chart.ts";
import { plain } from "./figures.ts";
import type { Dots, Published } from "./result.ts";

const WIDTH = 860;
/** Width of a character of 13 px system-ui, on average and with a margin. */
const CHARACTER = 7;
const RIGHT = 84;
const ROW = 26;
const TOP = 78;
const FOOT = 58;

interface Row {
  readonly name: string;
  /** In the order of the dots' columns, ascending. */
  readonly values: readonly number[];
  readonly limit: number | undefined;
  readonly aside: number | undefined;
}

/**
 * One row for each contender: a dot for each column on one logarithmic scale, a line through all rows at the limit, and
 * a ring for the additional column. Values below the scale are drawn at its start, with the label `before` if they are
 * not above 0. Readable in light and dark mode.
 */
export function dotChartOf(result: Published, dots: Dots): string {
  const rows = rowsOf(result, dots);
  const left = 20 + CHARACTER * Math.max(20, ...rows.map(({ name }) => name.length));
  const [least = 1, most = 10] = [dots.marks[0], dots.marks.at(-1)];
  const place = (value: number) => {
    const share = Math.log(Math.min(Math.max(value, least), most) / least) / Math.log(most / least);
    return (left + share * (WIDTH - left - RIGHT)).toFixed(1);
  };
  const bottom = TOP + rows.length * ROW;
  const grid = dots.marks.flatMap((mark) => {
    const x = place(mark);
    return [
      `<line class="grid" x1="${x}" x2="${x}" y1="${TOP - 6}" y2="${bottom}"/>`,
      `<text class="small" x="${x}" y="${bottom + 16}" text-anchor="middle">${escaped(`${plain(mark)} ${dots.unit}`)}</text>`,
    ];
  });
  const drawn = rows.map((row, nth) => drawRow(row, { left, y: TOP + nth * ROW, place, unit: dots.unit }));
  const legend = `<text class="small" x="12" y="60">${escaped(legendOf(dots))}</text>`;
  return framed(result, {
    width: WIDTH,
    height: bottom + FOOT,
    text: dots.text,
    drawn: [legend, ...grid, ...drawn],
  });
}

function rowsOf({ contenders }: Published, { columns, limit, aside }: Dots): Row[] {
  return contenders.map(({ name, figures }) => {
    const of = (column: string) => figures[column]?.values.find(Number.isFinite);
    const values = columns.flatMap((column) => of(column) ?? []);
    return { name, values, limit: of(limit), aside: of(aside) };
  });
}

interface Place {
  readonly left: number;
  readonly y: number;
  readonly place: (value: number) => string;
  readonly unit: string;
}

function drawRow({ name, values, limit, aside }: Row, { left, y, place, unit }: Place): string {
  const middle = y + ROW / 2;
  const [first, last] = [values[0], values.at(-1)];
  const spread =
    first === undefined || last === undefined
      ? []
      : [
          `<line class="spread" x1="${place(first)}" x2="${place(last)}" y1="${middle}" y2="${middle}"/>`,
          `<text class="value" x="${WIDTH - RIGHT + 12}" y="${middle + 4}">${escaped(last > 0 ? `${plain(last)} ${unit}` : "before")}</text>`,
        ];
  return [
    `<text class="name" x="${left - 12}" y="${middle + 4}" text-anchor="end">${escaped(name)}</text>`,
    ...(limit === undefined
      ? []
      : [`<line class="limit" x1="${place(limit)}" x2="${place(limit)}" y1="${y}" y2="${y + ROW}"/>`]),
    ...spread,
    ...(aside === undefined ? [] : [`<circle class="aside" cx="${place(aside)}" cy="${middle}" r="5.5"/>`]),
    ...values.map((value, nth) => {
      const radius = 3 + nth;
      return `<circle class="ours" cx="${place(value)}" cy="${middle}" r="${radius}"/>`;
    }),
  ].join("\n");
}

function legendOf({ columns, limit, aside }: Dots): string {
  return `Dots, the larger the later: ${columns.join(", ")} (the number is of ${columns.at(-1) ?? ""}). Line: ${limit}. Ring: ${aside}.`;
}
