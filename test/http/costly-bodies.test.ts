import { describe, expect, it, vi } from "vitest";

import { httpUnderTest, scriptedAuthority } from "./http-under-test.ts";

const multipart = "multipart/form-data; boundary=b";
const urlencoded = "application/x-www-form-urlencoded";
const file = '--b\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n\r\n';
const field = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n';

describe("a body that would be costly to parse", () => {
  it.each([
    ["many files", multipart, `${file.repeat(880)}--b--`],
    ["many fields", multipart, `${field.repeat(1_000)}--b--`],
    ["many header fields in one part", multipart, `--b\r\n${"x:\r\n".repeat(16_000)}\r\n1\r\n--b--`],
    ["many lines without a boundary", multipart, "\n".repeat(65_000)],
    ["many small fields", urlencoded, "a&".repeat(32_500)],
    ["many separators", urlencoded, "&".repeat(65_000)],
  ])("is refused before a parser sees it: %s", async (_, type, body) => {
    const parse = vi.spyOn(Response.prototype, "formData");
    const decode = vi.spyOn(URLSearchParams.prototype, "entries");
    const { ask, defects } = httpUnderTest(scriptedAuthority({}));
    const answer = await ask("/auth/token", { method: "POST", headers: { "content-type": type }, body });
    expect(answer).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    const revoked = await ask("/auth/revoke", { method: "POST", headers: { "content-type": type }, body });
    expect(revoked.status).toBe(200);
    expect([parse.mock.calls.length, decode.mock.calls.length, defects.length]).toEqual([0, 0, 0]);
  });

  it("is read at the bounds: as many fields as may be, in both encodings", async () => {
    const names = Array.from({ length: 32 }, (_, place) => (place === 0 ? "grant_type" : `f${place}`));
    const { ask } = httpUnderTest(scriptedAuthority({}));
    const parts = names.map((name) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n1\r\n`);
    for (const [type, body] of [
      [multipart, `${parts.join("")}--b--`],
      [urlencoded, names.map((name) => `${name}=1`).join("&")],
    ] as const) {
      const answer = await ask("/auth/token", { method: "POST", headers: { "content-type": type }, body });
      expect(answer.body).toMatchObject({ error: "unsupported_grant_type" });
    }
  });
});
