import { readFile } from "node:fs/promises";

import type { SetupPage } from "../http/endpoints/setup-page.ts";

/** The set-up page's files, which the build copies next to the compiled code. */
export async function readSetupPage(): Promise<SetupPage> {
  const read = (name: string) => readFile(new URL(`../pages/${name}`, import.meta.url), "utf8");
  const [html, css, js] = await Promise.all([read("setup.html"), read("setup.css"), read("setup.js")]);
  return { html, css, js };
}
