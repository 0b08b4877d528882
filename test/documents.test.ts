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

it("shows no command that could run a stranger's package", () => {
  const shown = [
    "README.md",
    "protocol/README.md",
    "bench/README.md",
    ...filesIn("src"),
    ...filesIn(".deploy"),
  ];
  const wrong = shown.filter((file) => fetching.test(readFileSync(path.join(root, file), "utf8")));
  expect(wrong).toEqual([]);
});

it.each([
  ["npx gatehouse login", true],
  ["npm install gatehouse-client", true],
  ["npm install -g gatehouse-gateway", true],
  ["npm install ../gatehouse/dist/client-package", false],
  ["npm ci && npm start", false],
])("knows such a command: %s", (command, isOne) => {
  expect(fetching.test(command)).toBe(isOne);
});
