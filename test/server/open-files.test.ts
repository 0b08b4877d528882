import { expect, it } from "vitest";

import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { openFilesWarnings } from "../../src/server/open-files.ts";
import { command } from "../cli/command-in-process.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const limitsText = (soft: number | string) =>
  [
    "Limit                     Soft Limit           Hard Limit           Units     ",
    "Max processes             63432                63432                processes ",
    `Max open files            ${String(soft).padEnd(20)} 1048576              files     `,
    "Max locked memory         8388608              8388608              bytes     ",
  ].join("\n");

const warned = (soft: number | string, input: ConfigInput = {}) =>
  openFilesWarnings(defineConfig(input), async () => limitsText(soft));
const sockets = (number: number): ConfigInput => ({ limits: { sockets: number } });

it.each<[string, number | string, ConfigInput]>([
  ["the default and 4096 files", 4_096, {}],
  ["the default as a printed file sets it", 4_096, sockets(100_000)],
  ["the default and another limit that was set", 4_096, { limits: { unauthenticated: 10 } }],
  ["as many files as are needed", 5_256, sockets(5_000)],
  ["few files for few sockets", 400, sockets(100)],
  ["no limit", "unlimited", sockets(10_000_000)],
])("says nothing with %s", async (_, soft, input) => {
  expect(await warned(soft, input)).toEqual([]);
});

it.each<[string, number, ConfigInput, number]>([
  ["the default and fewer than 4096 files", 4_095, {}, 100_000],
  ["a number that was set", 5_255, sockets(5_000), 5_000],
  ["a large number that was set", 65_536, sockets(100_001), 100_001],
])("names both numbers, and what to do, with %s", async (_, soft, input, wanted) => {
  const [warning, ...more] = await warned(soft, input);
  expect(more).toEqual([]);
  for (const text of [`${soft} files`, `(${wanted})`, String(wanted + 256), "LimitNOFILE", "ulimit -n"])
    expect(warning).toContain(text);
});

it("says nothing where the system does not tell", async () => {
  const config = defineConfig(sockets(10_000_000));
  expect(await openFilesWarnings(config, async () => "something else")).toEqual([]);
  expect(await openFilesWarnings(config, () => Promise.reject(new Error("ENOENT")))).toEqual([]);
});

it.runIf(process.platform === "linux")(
  "reads the limit of this process, and check prints the warning",
  async () => {
    const report = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
    const soft = report.userLimits?.open_files?.soft;
    expect(soft).toBeDefined();
    const most = 10_000_000;
    const expected =
      typeof soft === "number" && soft < most + 256 ? [`this process may open ${soft} files`] : [];
    const starts = (warnings: readonly string[]) => warnings.map((each) => each.split(",", 1)[0]);
    expect(starts(await openFilesWarnings(defineConfig(sockets(most))))).toEqual(expected);
    const folder = temporaryFolder();
    const env = { GATEHOUSE_LIMITS_SOCKETS: String(most) };
    const { code, stdout } = await command(["check", "--json", "--data", `${folder.path}/none`], env);
    folder.remove();
    expect(code).toBe(0);
    const { warnings = [] } = JSON.parse(stdout) as { readonly warnings?: readonly string[] };
    expect(starts(warnings.filter((each) => each.includes("limits.sockets")))).toEqual(expected);
  },
);
