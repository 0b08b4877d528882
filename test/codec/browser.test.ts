import vm from "node:vm";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";

const entry = `
  import { createJsonCodec } from "./src/codec/json.ts";
  import { createMsgpackCodec } from "./src/codec/msgpack.ts";
  const message = { id: 1, type: "auth/login/step", user_input: { username: "päula", code: 0.5 } };
  const long = { type: "auth", access_token: "\\ufeff" + "x".repeat(700) };
  globalThis.seen = [createJsonCodec(), createMsgpackCodec()].map((codec) =>
    JSON.stringify([message, long].map((each) => codec.decode(codec.join([codec.encode(each), codec.encode(each)])))),
  );
  globalThis.sent = JSON.stringify([message, long].map((each) => [each, each]));
`;

describe("codecs in a browser", () => {
  it("bundle without Node's modules and work without its globals", async () => {
    const { outputFiles } = await build({
      stdin: { contents: entry, resolveDir: process.cwd(), loader: "ts" },
      bundle: true,
      platform: "browser",
      format: "iife",
      write: false,
      logLevel: "silent",
    });
    const world = vm.createContext({ TextDecoder, TextEncoder });
    vm.runInContext(outputFiles[0]?.text ?? "", world);
    expect(world.seen).toEqual([world.sent, world.sent]);
  });
});
