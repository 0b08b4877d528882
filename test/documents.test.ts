import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "..");

/** Runs what a registry gives under a name, or installs by a bare name: nothing of ours is on a registry. */
const fetching =
  /\b(npx|npm (exec|x|create|init)|pnpm dlx|yarn dlx|bunx)\b|\b(npm (install|i|add)|pnpm add|yarn add)( -\S+)* (?![./-])[\w@]/;

function filesIn(folder: string): string[] {
  if (!existsSync(path.join(root, folder))) return [];
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

const pages = [
  "README.md",
  ...["protocol", "bench", ".deploy", "src"].flatMap((folder) =>
    filesIn(folder).filter((file) => file.endsWith(".md")),
  ),
].filter((file) => !file.includes("node_modules"));

it("shows no command that could run a stranger's package", () => {
  const shown = [...new Set([...pages, ...filesIn("src"), ...filesIn(".deploy")])];
  const wrong = shown.filter((file) => fetching.test(readFileSync(path.join(root, file), "utf8")));
  expect(wrong).toEqual([]);
});

it("links to files and sections that exist", () => {
  const links = pages.flatMap((page) =>
    linksOf(readFileSync(path.join(root, page), "utf8")).map((link) => ({ page, link })),
  );
  expect(links.length).toBeGreaterThan(100);
  const broken = links.filter(({ page, link }) => {
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? page : path.join(path.dirname(page), file);
    if (!existsSync(path.join(root, target))) return true;
    return anchor !== undefined && !anchorsOf(target).has(anchor);
  });
  expect(broken).toEqual([]);
});

it("names files of the code that exist, in the pages for those who change it", () => {
  const files = ["src", "protocol", "test", "bench", ".build"].flatMap(filesIn);
  const named = pages
    .filter((page) => /^(src|bench)\//.test(page))
    .flatMap((page) =>
      [...readFileSync(path.join(root, page), "utf8").matchAll(/`([\w./-]+\.(?:ts|mjs|js|lua|pml))`/g)].map(
        ([, name = ""]) => ({ page, name }),
      ),
    );
  expect(named.length).toBeGreaterThan(100);
  const missing = named.filter(({ name }) => !files.some((file) => `/${file}`.endsWith(`/${name}`)));
  expect(missing).toEqual([]);
});

it("has in its index every section of the protocol, and no other", () => {
  const index = readFileSync(path.join(root, "src/protocol-index.md"), "utf8").split("\n## protocol/");
  const indexed = index.slice(1).flatMap((part) => {
    const page = part.slice(0, part.indexOf("\n"));
    return [...part.matchAll(/^- \*\*(.+?)\*\*$/gm)].map(([, section = ""]) => `${page} ${section}`);
  });
  // How to test, and the list of pages, decide nothing.
  const sections = filesIn("protocol")
    .filter((file) => file.endsWith(".md") && !file.endsWith("conformance.md"))
    .flatMap((file) =>
      [...readFileSync(path.join(root, file), "utf8").matchAll(/^##+ (.+)$/gm)].map(
        ([, section = ""]) => `${path.basename(file)} ${section}`,
      ),
    )
    .filter((section) => !/ Walk-through|^README\.md Parts$/.test(section));
  expect(sections.length).toBeGreaterThan(100);
  const isOf = (row: string, section: string) => row === section || row.startsWith(`${section} (`);
  expect(sections.filter((section) => !indexed.some((row) => isOf(row, section)))).toEqual([]);
  expect(indexed.filter((row) => !sections.some((section) => isOf(row, section)))).toEqual([]);
});

/** Targets within the repository. */
function linksOf(text: string): readonly string[] {
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** As GitHub makes anchors of headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...readFileSync(path.join(root, page), "utf8").matchAll(/^#+ (.+)$/gm)];
  const anchorOf = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^a-z0-9_ -]/g, "")
      .replaceAll(" ", "-");
  return new Set(headings.map(([, heading = ""]) => anchorOf(heading)));
}

it.each([
  ["npx gatehouse login", true],
  ["npm install gatehouse-client", true],
  ["npm install -g gatehouse-gateway", true],
  ["npm install ../gatehouse/dist/client-package", false],
  ["npm ci && npm start", false],
])("knows such a command: %s", (command, isOne) => {
  expect(fetching.test(command)).toBe(isOne);
});
