// Makes dist/client-package, the package `gatehouse-client`: the client, its codecs and the login element, bundled, with declarations that need
// no other package.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

import { commandDeclarations, declarationsOf } from "./schema-types.mjs";

/** Bundles what `tsc` made in `root`/dist. */
export async function buildClientPackage(root) {
  const dist = path.join(root, "dist");
  const out = path.join(dist, "client-package");
  const entries = {
    index: path.join(dist, "src/client/index.js"),
    msgpack: path.join(dist, "src/client/msgpack.js"),
    "login-element": path.join(dist, "src/login-element/index.js"),
    // The client loads them when a password is proved for the first time.
    "password-proof": path.join(dist, "src/client/password-proof.js"),
    "scrypt-worker": path.join(dist, "src/client/scrypt-worker.js"),
  };
  await build({
    entryPoints: entries,
    outdir: out,
    bundle: true,
    // One file for what both entries need, so that they agree on its classes.
    splitting: true,
    chunkNames: "shared-[hash]",
    format: "esm",
    target: "es2022",
    // Names and lines stay, for whoever reads a stack trace.
    minifySyntax: true,
    platform: "neutral",
    mainFields: ["module", "main"],
    external: ["ws"],
    legalComments: "none",
    logLevel: "warning",
  });
  await writeDeclarations(dist, out);
  for (const [name, source] of [
    ["README.md", "src/client/README.md"],
    ["LICENSE", "LICENSE"],
    // The code of msgpackr is part of msgpack.js.
    ["LICENSE-msgpackr", "node_modules/msgpackr/LICENSE"],
    // That of scrypt-js is part of scrypt-worker.js, and that of Lit of login-element.js.
    ["LICENSE-scrypt-js", "node_modules/scrypt-js/LICENSE.txt"],
    // That of @noble/hashes is part of what proves a password.
    ["LICENSE-noble-hashes", "node_modules/@noble/hashes/LICENSE"],
    ["LICENSE-lit", "node_modules/lit/LICENSE"],
  ]) {
    cpSync(path.join(root, source), path.join(out, name));
  }
  writeFileSync(path.join(out, "package.json"), `${JSON.stringify(manifest(root), null, 2)}\n`);
}

function manifest(root) {
  const { version, license, engines, dependencies } = JSON.parse(
    readFileSync(path.join(root, "package.json"), "utf8"),
  );
  const entry = (name, source = `client/${name}`) => ({
    types: `./types/src/${source}.d.ts`,
    default: `./${name}.js`,
  });
  return {
    name: "gatehouse-client",
    version,
    description: "The client of Gatehouse, a WebSocket-first authentication gateway, for browsers and Node.",
    license,
    type: "module",
    // One defines the element, the other one is a program.
    sideEffects: ["./login-element.js", "./scrypt-worker.js"],
    engines,
    exports: {
      ".": entry("index"),
      "./msgpack": entry("msgpack"),
      "./login-element": entry("login-element", "login-element/index"),
      "./scrypt-worker": "./scrypt-worker.js",
      "./package.json": "./package.json",
    },
    files: ["*.js", "types", "LICENSE-*"],
    peerDependencies: { ws: `^${dependencies.ws}` },
    peerDependenciesMeta: { ws: { optional: true } },
  };
}

/** The declarations that the entries reach, those of schemas replaced by the types of their messages. */
async function writeDeclarations(dist, out) {
  const load = (file) => import(pathToFileURL(path.join(dist, file)).href);
  const { commands } = await load("protocol/commands/index.js");
  const flow = await load("protocol/flow.js");
  const { StepUpRequired } = await load("protocol/frames.js");
  const { TopicEvent, TopicMessage } = await load("protocol/commands/topics.js");
  const written = new Map([
    ["protocol/commands/index.d.ts", commandDeclarations(commands)],
    ["protocol/flow.d.ts", declarationsOf(flow)],
    ["protocol/frames.d.ts", declarationsOf({ StepUpRequired })],
    ["protocol/commands/topics.d.ts", declarationsOf({ TopicMessage, TopicEvent })],
  ]);
  const waiting = ["src/client/index.d.ts", "src/client/msgpack.d.ts", "src/login-element/index.d.ts"];
  const done = new Set();
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (done.has(file)) continue;
    done.add(file);
    const text = written.get(file) ?? readFileSync(path.join(dist, file), "utf8");
    const target = path.join(out, "types", file);
    mkdirSync(path.dirname(target), { recursive: true });
    // Sources name each other with `.ts`; not every reader of declarations finds a `.d.ts` by that.
    const portable = text.replaceAll(/(from |import\()"(\.[^"]+)\.ts"/g, (_, how, name) => {
      waiting.push(path.join(path.dirname(file), `${name}.d.ts`));
      return `${how}"${name}.js"`;
    });
    writeFileSync(target, portable);
  }
}
