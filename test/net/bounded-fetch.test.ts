import { createServer, type RequestListener } from "node:http";
import { afterEach, expect, it } from "vitest";

import { createBoundedFetch, publicLookup, UpstreamRequestError } from "../../src/net/bounded-fetch.ts";
import { stretched } from "../support/machine-share.ts";
import { closed, listening } from "../support/openid-provider.ts";

let end: (() => Promise<void>) | undefined;
afterEach(async () => {
  await end?.();
});

async function serverOf(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  const port = await listening(server);
  end = () => closed(server);
  return `http://127.0.0.1:${port}`;
}

const fetchFrom = (trustedOrigin: string, more: { maxBytes?: number; timeoutMs?: number } = {}) =>
  createBoundedFetch({ trustedOrigin, maxBytes: 1000, timeoutMs: 5_000, ...more });

async function failureOf(work: Promise<unknown>): Promise<UpstreamRequestError> {
  const failure: unknown = await work.catch((error: unknown) => error);
  if (!(failure instanceof UpstreamRequestError)) throw new Error(`no request error: ${String(failure)}`);
  return failure;
}

it("sends what it is given, and gives status, headers and body", async () => {
  const origin = await serverOf((request, response) => {
    request.pipe(
      response.writeHead(201, { "x-method": `${request.method}`, "x-sent": `${request.headers["x-sent"]}` }),
    );
  });
  const body = new URLSearchParams({ a: "b c" });
  const response = await fetchFrom(origin)(`${origin}/x`, {
    method: "POST",
    headers: { "X-Sent": "1" },
    body,
  });
  expect([response.status, await response.text()]).toEqual([201, "a=b+c"]);
  expect([response.headers.get("x-method"), response.headers.get("x-sent")]).toEqual(["POST", "1"]);
});

it("follows no redirect", async () => {
  const origin = await serverOf((_, response) => response.writeHead(302, { location: "/elsewhere" }).end());
  expect((await fetchFrom(origin)(origin)).status).toBe(302);
});

it("ends a body that is larger than allowed, whatever its length says", async () => {
  const origin = await serverOf((_, response) => {
    const more = () => response.write("x".repeat(400)) || response.once("drain", more);
    const timer = setInterval(more, 1);
    response.on("close", () => clearInterval(timer));
  });
  const { message, mayPass } = await failureOf(fetchFrom(origin)(origin));
  expect([message.includes("too large"), mayPass]).toEqual([true, false]);
});

it.each(["headers", "a body byte by byte"])("ends in time if the server sends %s slowly", async (what) => {
  const origin = await serverOf((_, response) => {
    if (what === "headers") return;
    const timer = setInterval(() => response.write("x"), 20);
    response.on("close", () => clearInterval(timer));
  });
  const began = performance.now();
  const { message, mayPass } = await failureOf(fetchFrom(origin, { timeoutMs: 200 })(origin));
  expect([message.includes("in time"), mayPass]).toEqual([true, true]);
  expect(performance.now() - began).toBeLessThan(stretched(2_000));
});

it("ends if its caller gives up, and if nobody listens", async () => {
  const origin = await serverOf(() => undefined);
  const signal = AbortSignal.timeout(50);
  expect((await failureOf(fetchFrom(origin)(origin, { signal }))).mayPass).toBe(true);
  await end?.();
  end = undefined;
  expect((await failureOf(fetchFrom(origin)(origin))).mayPass).toBe(true);
});

it.each([
  "http://id.test/x",
  "https://127.0.0.1/x",
  "https://[::1]/x",
  "https://169.254.169.254/latest/meta-data",
  "https://localhost/x",
  "https://0x7f000001/x",
])("sends nothing to %s, which is not the configured origin", async (url) => {
  const { message, mayPass } = await failureOf(fetchFrom("https://id.test")(url));
  expect([message.includes("no request is sent there"), mayPass]).toEqual([true, false]);
});

// A literal address needs no name server.
it.each([
  ["1.1.1.1", { all: true }, [null, [{ address: "1.1.1.1", family: 4 }], undefined]],
  ["1.1.1.1", { all: false }, [null, "1.1.1.1", 4]],
  ["2606:4700::1111", {}, [null, "2606:4700::1111", 6]],
  ["127.0.0.1", { all: true }, [expect.any(UpstreamRequestError), "", 0]],
  ["localhost", {}, [expect.any(UpstreamRequestError), "", 0]],
])("looks %s up with %j for a connection", async (name, options, expected) => {
  const found = await new Promise((resolve) =>
    publicLookup(name, options, (...answer) => resolve([...answer, undefined].slice(0, 3))),
  );
  expect(found).toEqual(expected);
});
