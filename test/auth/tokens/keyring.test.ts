import { KeyObject, randomBytes } from "node:crypto";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { AuthError } from "../../../src/auth/errors.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { readRecord } from "../../../src/auth/store.ts";
import { switchSlackMs } from "../../../src/auth/tokens/key-schedule.ts";
import { createKeyring, defaultLeadMs } from "../../../src/auth/tokens/keyring.ts";
import { createSealing } from "../../../src/auth/tokens/sealing.ts";
import {
  createNode,
  day,
  halfAnHour,
  issuer,
  type OpenStore,
  openStore,
  session,
  user,
} from "./installation.ts";

const secret = randomBytes(32);
let opened: OpenStore;

beforeEach(async () => {
  opened = await openStore();
});
afterEach(() => opened.dispose());

const node = () => createNode(opened, secret);
type Node = Awaited<ReturnType<typeof node>>;

const mint = async (from: Node, ttlMs?: number) =>
  (await from.tokens.mint(session({ expiresAt: null }), user(), 1, ttlMs)).token;
const kidOf = (token: string) => decodeProtectedHeader(token).kid;
const kids = (from: Node) => from.keyring.jwks().keys.map((key) => key.kid);
const states = (from: Node) => from.keyring.list().map((key) => key.state);

async function logged(): Promise<readonly unknown[]> {
  const events: unknown[] = [];
  const follower = opened.store.follow(0, (entries) => events.push(...entries.map((entry) => entry.event)));
  await follower.caughtUp;
  await follower.stop();
  return events;
}

async function verifyOutside(from: Node, token: string): Promise<string | undefined> {
  const currentDate = new Date(opened.clock.now());
  const options = { issuer, audience: issuer, typ: "at+jwt", algorithms: ["ES256"], currentDate };
  return (await jwtVerify(token, createLocalJWKSet(from.keyring.jwks()), options)).payload.sub;
}

describe("keyring", () => {
  it("agrees on one key when 20 nodes start at once for the first time", async () => {
    const nodes = await Promise.all(Array.from({ length: 20 }, node));
    expect(new Set(nodes.flatMap(kids)).size).toBe(1);
    expect(nodes.map(states)).toEqual(nodes.map(() => ["active"]));
    expect(await logged()).toEqual([{ type: "keyring_changed", mac: expect.any(String) }]);
  });

  it("keeps its keys across a restart", async () => {
    const token = await mint(await node());
    expect((await node()).tokens.read(token).ok).toBe(true);
  });

  it("does not start with another secret, and says why to the operator", async () => {
    await node();
    const other = createNode(opened, randomBytes(32));
    await expect(other).rejects.toMatchObject({
      code: "unavailable",
      detail: expect.stringContaining("another secret"),
    });
  });

  it("shows public members only", async () => {
    const { keyring } = await node();
    for (const key of keyring.jwks().keys) {
      expect(Object.keys(key).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
      expect(key).toMatchObject({ alg: "ES256", use: "sig", kty: "EC", crv: "P-256" });
    }
  });

  it("stores nothing readable, and exposes a signer, not the private key", async () => {
    const { keyring } = await node();
    const record = await readRecord(opened.store, recordKeys.keyring);
    expect(Object.keys(record?.value ?? {})).toEqual(["box"]);
    const key = keyring.signingKey();
    expect(JSON.stringify(record?.value)).not.toContain(key.kid);
    expect(key.publicJwk).not.toHaveProperty("d");
    const isKey = (member: unknown) => member instanceof KeyObject || member instanceof Uint8Array;
    expect(Object.values(key).filter(isKey)).toEqual([]);
  });

  it("publishes a key before it signs, and every node switches by the clock alone", async () => {
    const [a, b] = [await node(), await node()];
    const old = kidOf(await mint(a));
    const added = await a.keyring.rotate();
    await b.keyring.reload();
    expect(added).toMatchObject({
      state: "published",
      signsFrom: opened.clock.now() + defaultLeadMs,
      neededUntil: null,
    });
    expect([kids(a), kids(b)]).toEqual([
      [old, added.kid],
      [old, added.kid],
    ]);
    opened.clock.pass(defaultLeadMs - 1);
    expect([kidOf(await mint(a)), kidOf(await mint(b))]).toEqual([old, old]);

    const before = await readRecord(opened.store, recordKeys.keyring);
    opened.clock.pass(1);
    expect([kidOf(await mint(a)), kidOf(await mint(b))]).toEqual([added.kid, added.kid]);
    expect([states(a), states(b)]).toEqual([
      ["retired", "active"],
      ["retired", "active"],
    ]);
    expect((await readRecord(opened.store, recordKeys.keyring))?.version).toBe(before?.version);
  });

  it("has a lead that is longer than jose's cache and cool-down of a JWKS", () => {
    expect(defaultLeadMs).toBeGreaterThan(10 * 60_000 + 30_000);
  });

  it("verifies a token of a node that does not know of the rotation, inside and outside", async () => {
    const [a, b] = [await node(), await node()];
    await a.keyring.rotate({ leadMs: 0 });
    const late = await mint(b);
    expect(kidOf(late)).not.toBe(kidOf(await mint(a)));
    expect(a.tokens.read(late).ok).toBe(true);
    opened.clock.pass(halfAnHour - 1000);
    expect(a.tokens.read(late).ok).toBe(true);
    expect(await verifyOutside(a, late)).toBeTypeOf("string");
  });

  it("refuses a token of a key that it has not loaded, until it reloads", async () => {
    const [a, b] = [await node(), await node()];
    await a.keyring.rotate({ leadMs: 0 });
    const token = await mint(a);
    expect(b.tokens.read(token)).toEqual({ ok: false, reason: "unknown_key" });
    await b.keyring.reload();
    expect(b.tokens.read(token).ok).toBe(true);
  });

  it("keeps a retired key until the last token that it signed has expired, then removes it", async () => {
    const a = await node();
    const old = kidOf(await mint(a));
    await a.keyring.rotate({ leadMs: 0 });
    const [info] = a.keyring.list();
    expect(info?.neededUntil).toBe(opened.clock.now() + halfAnHour + switchSlackMs);
    opened.clock.pass(halfAnHour + switchSlackMs - 1);
    expect(kids(a)).toContain(old);
    opened.clock.pass(1);
    expect(kids(a)).not.toContain(old);
    expect(states(a)).toEqual(["active"]);
  });

  it("keeps the key of a ten-year token for ten years, across rotations, restarts and other nodes", async () => {
    const [a, b] = [await node(), await node()];
    const token = await mint(a, 3650 * day);
    // b rotates a keyring that it read before the promise was made
    for (let year = 0; year < 9; year++) {
      await b.keyring.rotate({ leadMs: 0 });
      opened.clock.pass(365 * day);
    }
    const c = await node();
    expect(c.keyring.list()).toHaveLength(2);
    expect(c.tokens.read(token).ok).toBe(true);
    expect(await verifyOutside(c, token)).toBeTypeOf("string");
    opened.clock.pass(367 * day);
    await c.keyring.rotate({ leadMs: 0 });
    expect(kids(c)).not.toContain(kidOf(token));
  });

  it("commits nothing for ordinary tokens, and once for many long-lived ones of a day", async () => {
    const a = await node();
    for (let count = 0; count < 5; count++) await mint(a);
    expect(await logged()).toHaveLength(1);
    for (let count = 0; count < 5; count++) await mint(a, 3650 * day);
    expect(await logged()).toHaveLength(2);
  });

  it("issues no long-lived token whose promise cannot be stored, and ordinary ones without the store", async () => {
    const a = await node();
    await opened.store.close();
    await expect(mint(a, 3650 * day)).rejects.toMatchObject({ code: "unavailable" });
    expect(a.tokens.read(await mint(a)).ok).toBe(true);
    opened = await openStore();
  });

  it("loses no key when many nodes rotate at once", async () => {
    const nodes = await Promise.all(Array.from({ length: 8 }, node));
    const added = await Promise.all(nodes.map(({ keyring }) => keyring.rotate()));
    await Promise.all(nodes.map(({ keyring }) => keyring.reload()));
    expect(new Set(kids(nodes[0] as Node))).toEqual(
      new Set([...added.map((key) => key.kid), kids(nodes[0] as Node)[0]]),
    );
    expect(new Set(nodes.map((each) => kids(each).join())).size).toBe(1);
    opened.clock.pass(defaultLeadMs);
    expect(new Set(nodes.map(({ keyring }) => keyring.signingKey().kid)).size).toBe(1);
  });

  it("lets an emergency rotation win over one that is not due yet", async () => {
    const a = await node();
    const waiting = await a.keyring.rotate();
    const urgent = await a.keyring.rotate({ leadMs: 0 });
    expect(states(a)).toEqual(["retired", "retired", "active"]);
    opened.clock.pass(defaultLeadMs + 1);
    expect(a.keyring.signingKey().kid).toBe(urgent.kid);
    expect(kids(a)).toContain(waiting.kid);
  });

  it("signs with the first key on a node whose clock is behind", async () => {
    const a = await node();
    opened.clock.pass(-60_000);
    expect(states(a)).toEqual(["active"]);
    expect(kidOf(await mint(a))).toBe(kids(a)[0]);
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 31 * day])(
    "refuses a lead of %d ms",
    async (leadMs) => {
      const a = await node();
      await expect(a.keyring.rotate({ leadMs })).rejects.toMatchObject({ code: "invalid_format" });
      expect(a.keyring.list()).toHaveLength(1);
    },
  );

  it("drops its keys because of the log alone, and issues no token until it has the new one", async () => {
    const [a, b] = [await node(), await node()];
    const [token, lasting] = [await mint(a), await mint(a, 3650 * day)];
    const { dropped, key, step } = await b.keyring.planDrop();
    a.keyring.drop(dropped);
    const refused = { ok: false, reason: "key_dropped" };
    expect([a.tokens.read(token), a.tokens.read(lasting)]).toEqual([refused, refused]);
    for (const look of [a.keyring.jwks, a.keyring.list, a.keyring.signingKey])
      expect(look).toThrow(AuthError);

    expect((await opened.store.commit(step)).ok).toBe(true);
    // The node that issues a token reads the new key for it.
    expect(kidOf(await mint(a))).toBe(key.kid);
    expect([kids(a), kids(await node())]).toEqual([[key.kid], [key.kid]]);
    expect((await node()).tokens.read(lasting)).toEqual(refused);
  });

  it("issues no token with a dropped key while the new one cannot be read", async () => {
    const a = await node();
    a.keyring.drop((await a.keyring.planDrop()).dropped);
    await opened.store.commit({ remove: [recordKeys.keyring] });
    await expect(mint(a)).rejects.toMatchObject({ code: "unavailable" });
  });

  it("drops keys again that a store that went back in time still has, and logs it", async () => {
    const [a, b] = [await node(), await node()];
    const { dropped } = await a.keyring.planDrop();
    a.keyring.drop(dropped);
    await a.keyring.reload();
    const [kid] = kids(a);
    expect(dropped).not.toContain(kid);
    expect((await logged()).at(-1)).toMatchObject({ type: "keyring_changed", dropped });
    await b.keyring.reload();
    expect(kids(b)).toEqual([kid]);
    expect(dropped.map(b.keyring.isDropped)).toEqual([true]);
  });

  it("logs dropped keys once, and forgets them when their last token has expired", async () => {
    const a = await node();
    const token = await mint(a, day);
    await opened.store.commit((await a.keyring.planDrop()).step);
    await a.keyring.rotate();
    expect(await logged()).not.toContainEqual(expect.objectContaining({ dropped: expect.anything() }));
    expect((await node()).tokens.read(token)).toEqual({ ok: false, reason: "key_dropped" });
    opened.clock.pass(3 * day);
    await opened.store.commit((await a.keyring.planDrop()).step);
    expect((await node()).tokens.read(token)).toEqual({ ok: false, reason: "unknown_key" });
  });

  it("keeps its keys if the record was replaced by a box of another record", async () => {
    const a = await node();
    const token = await mint(a);
    const stolen = a.sealing.seal("totp:1", Buffer.from("{}"));
    await opened.store.commit({ put: [{ key: recordKeys.keyring, value: { box: stolen } }] });
    await expect(a.keyring.reload()).rejects.toMatchObject({ code: "unavailable" });
    await expect(a.keyring.rotate()).rejects.toMatchObject({ code: "unavailable" });
    expect(a.tokens.read(token).ok).toBe(true);
  });

  it("creates no second keyring if its record is missing", async () => {
    const a = await node();
    await opened.store.commit({ remove: [recordKeys.keyring] });
    await expect(a.keyring.rotate()).rejects.toMatchObject({ code: "unavailable" });
    await expect(a.keyring.reload()).rejects.toMatchObject({ code: "unavailable" });
    expect(await readRecord(opened.store, recordKeys.keyring)).toBeUndefined();
  });

  it.each(["not json", "{}", '{"keys":[]}', '{"keys":[{"kid":"x"}]}'])(
    "refuses a record of %s",
    async (text) => {
      const sealing = createSealing(secret);
      const box = sealing.seal(recordKeys.keyring, Buffer.from(text));
      await opened.store.commit({ put: [{ key: recordKeys.keyring, value: { box } }] });
      const { store, clock } = opened;
      const made = createKeyring({ store, sealing, clock, longestTokenMs: halfAnHour });
      await expect(made).rejects.toMatchObject({ code: "unavailable" });
    },
  );
});
