import { pbkdf2Sync } from "node:crypto";
import { describe, expect, it } from "vitest";

import { isProofCost } from "../../protocol/scram.ts";
import { beginScram, Distrust, readServerFirst, signWith } from "../../src/client/scram.ts";
import { defaultScrypt } from "../../src/client/scrypt.ts";
import { rfc7677, scramRefusals, scramVectors } from "../protocol/scram-vectors.ts";

describe.each(scramVectors)("the vector: $name", (vector) => {
  it("is what the client sends and expects", async () => {
    const { username, mechanism, client_nonce, channel_binding, gs2_header } = vector;
    const client = beginScram(username, [mechanism], gs2_header !== "n,,", client_nonce);
    expect(client).toMatchObject({ mechanism, first: vector.client_first });
    const scrypt = await defaultScrypt();
    if (scrypt === undefined) throw new Error("no scrypt");
    const sign = await client.sign(vector.server_first, vector.password, scrypt, () => undefined);
    const bound = channel_binding === null ? undefined : Buffer.from(channel_binding, "hex");
    expect(sign(bound)).toEqual({ message: vector.client_final, serverFinal: vector.server_final });
  });
});

it("signs the exchange of RFC 7677 as it is there, with the keys of PBKDF2", () => {
  const { password, salt, iterations, bare, serverFirst, withoutProof } = rfc7677;
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const { proof, serverSignature } = signWith(salted, Buffer.from(`${bare},${serverFirst},${withoutProof}`));
  expect(Buffer.from(proof).toString("base64")).toBe(rfc7677.proof);
  expect(Buffer.from(serverSignature).toString("base64")).toBe(rfc7677.serverSignature);
});

describe("server_first", () => {
  const { client_nonce: nonce, server_first: refused } = scramRefusals;

  it.each(refused)("$name: refused before anything is computed", async ({ message }) => {
    const client = beginScram("user", ["SCRAM-SCRYPT"], false, nonce);
    const scrypt = () => Promise.reject(new Error("scrypt was asked"));
    const error = await client
      .sign(message, "pencil", scrypt, () => undefined)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Distrust);
  });

  it("may have extensions at its end", () => {
    const { server_first, client_nonce } = scramVectors[0] ?? { server_first: "", client_nonce: "" };
    expect(readServerFirst(`${server_first},x=1`, client_nonce).cost).toEqual({ N: 32_768, r: 8, p: 3 });
  });
});

it("binds if it can and may, and says so if it was not offered", () => {
  const both = ["SCRAM-SCRYPT-PLUS", "SCRAM-SCRYPT"];
  const flagOf = (offered: readonly string[], canBind: boolean) =>
    beginScram("user", offered, canBind).first.split(",")[0];
  expect(flagOf(both, true)).toBe("p=tls-exporter");
  expect(flagOf(["SCRAM-SCRYPT"], true)).toBe("y");
  expect(flagOf(both, false)).toBe("n");
});

it("takes OWASP's equal costs that need 32 MiB or more, and no weaker one", () => {
  const cost = (n: number, p: number, r = 8) => isProofCost({ N: 2 ** n, r, p });
  expect([cost(17, 1), cost(16, 2), cost(15, 3)]).toEqual([true, true, true]);
  expect([cost(16, 1), cost(15, 2), cost(14, 5), cost(13, 10), cost(10, 1)]).toEqual(Array(5).fill(false));
  expect([
    cost(18, 2),
    cost(19, 1),
    cost(17, 5),
    cost(17, 1, 33),
    isProofCost({ N: 100_000, r: 8, p: 1 }),
  ]).toEqual([true, false, false, false, false]);
});
