import { defineConfig } from "vitest/config";

/**
 * Their files share a worker and what it has loaded, which saves a third of their time. They end what they start and replace
 * nothing of the process. The other folders start programs and servers, measure, or damage what runs: each of their files has a
 * process of its own.
 */
const shared = [
  "auth",
  "cli",
  "client",
  "codec",
  "commands",
  "compat",
  "config",
  "connection",
  "http",
  "net",
  "observability",
  "presence",
  "protocol",
  "topics",
].map((folder) => `test/${folder}/**/*.test.ts`);

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    pool: "forks",
    maxWorkers: 2,
    // They end a test that hangs, also on a machine with much else to do, and say nothing about speed.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    restoreMocks: true,
    unstubEnvs: true,
    projects: [
      { extends: true, test: { name: "shared process", include: shared, isolate: false } },
      {
        extends: true,
        test: {
          name: "own process",
          include: ["test/**/*.test.ts"],
          exclude: [...shared, "**/node_modules/**"],
        },
      },
    ],
  },
});
