import { describe, expect, it } from "vitest";
import { createUwsTransport } from "../../src/transport/uws.ts";
import { loadUws } from "../../src/transport/uws-library.ts";

/** In a file of its own: the package decides once for a process what it is. */
describe("uWebSockets.js as a package", () => {
  it("is refused when it falls back to its imitation in JavaScript", async () => {
    process.env.UWS_USE_FALLBACK = "1";
    await expect(createUwsTransport()).rejects.toThrow(
      /uWebSockets\.js has no native binding .*use the ws transport/,
    );
  });

  it("is named when it is not installed", async () => {
    await expect(loadUws("uWebSockets.js-that-is-not-there")).rejects.toThrow(
      "the uws transport needs the package uWebSockets.js-that-is-not-there, which could not be loaded",
    );
  });

  it("is refused when something else answers to its name", async () => {
    await expect(loadUws("node:path")).rejects.toThrow("node:path has no native binding");
  });
});
