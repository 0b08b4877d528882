import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import type { Clock } from "../clock/clock.ts";
import { isSameText } from "../constant-time.ts";
import { providerKey } from "../record-keys.ts";
import type { Sealing } from "../tokens/sealing.ts";
import type { GuessedAccount } from "./login-throttle.ts";

/** A device that has logged in, as its token says. */
export interface KnownDevice {
  /** 32 hex digits. */
  readonly id: string;
  /** The accounts that logged in on it, the last one first. */
  readonly accounts: readonly KnownAccount[];
}

interface KnownAccount {
  /** A MAC of the account and its secret's version, so that a token tells nobody a login name. 16 characters of base64url. */
  readonly tag: string;
  /** When it logged in last, in seconds since the epoch. */
  readonly at: number;
}

/** An account, and which secret it logs in with: see `LoginProvider.secretVersion`. */
export interface DeviceAccount extends GuessedAccount {
  readonly secretVersion: string | undefined;
}

/**
 * Tokens by which a device shows that an account has logged in on it (OWASP: device cookies). A token is no proof of
 * a person. It only gives the device a budget of guesses of its own, which strangers cannot exhaust. It is good while the
 * account has the secret that it logged in with: otherwise whoever knew an earlier one would have more guesses than others.
 */
export interface DeviceTokens {
  /** For a device on which the account has just logged in; `device` is what its token said before. */
  issue(account: DeviceAccount, device: KnownDevice | undefined): string;
  /** Undefined unless this installation issued the token. NOT yet verified: which accounts it is good for. */
  read(token: string): KnownDevice | undefined;
  /** Whether the account logged in on the device, lately enough. */
  knows(device: KnownDevice, account: DeviceAccount): boolean;
}

const prefix = "ghd_";
const version = 1;
const idBytes = 16;
const tagBytes = 12;
const entryBytes = tagBytes + 4;
const macBytes = 16;
/** People who share a device. One more account replaces the one that logged in longest ago. */
const maxAccounts = 8;
const shape = /^ghd_[\w-]{44,220}$/;
/** Longer than a session lives without use, because that is when a person has to log in again. */
const knownSeconds = 365 * 86_400;
/** A node's clock may be this much behind the one that issued the token. */
const skewSeconds = 60;

/**
 * A token is `ghd_` and base64url of: version (1 byte), device id (16), for each account a tag (12) and seconds (4,
 * big-endian), MAC (16).
 */
export function createDeviceTokens({ sealing, clock }: { sealing: Sealing; clock: Clock }): DeviceTokens {
  const macKey = createSecretKey(sealing.derive("device tokens 1"));
  const tagKey = createSecretKey(sealing.derive("device accounts 1"));
  const seconds = () => Math.floor(clock.now() / 1000);
  const tagOf = ({ provider: [type, id], name, secretVersion }: DeviceAccount) =>
    createHmac("sha256", tagKey)
      .update(JSON.stringify([providerKey(type, id), name, secretVersion ?? null]))
      .digest()
      .subarray(0, tagBytes)
      .toString("base64url");
  const isGood = ({ at }: KnownAccount) => at > seconds() - knownSeconds && at <= seconds() + skewSeconds;
  const encode = ({ id, accounts }: KnownDevice): string => {
    const body = Buffer.concat([Buffer.of(version), Buffer.from(id, "hex"), ...accounts.map(entryOf)]);
    const mac = createHmac("sha256", macKey).update(body).digest().subarray(0, macBytes);
    return prefix + Buffer.concat([body, mac]).toString("base64url");
  };
  return {
    issue(account, device) {
      const tag = tagOf(account);
      const others = (device?.accounts ?? []).filter((other) => other.tag !== tag && isGood(other));
      const accounts = [{ tag, at: seconds() }, ...others].slice(0, maxAccounts);
      return encode({ id: device?.id ?? randomBytes(idBytes).toString("hex"), accounts });
    },
    read(token) {
      const device = shape.test(token) ? decode(token.slice(prefix.length)) : undefined;
      // The whole text is compared, so each token has one encoding.
      return device !== undefined && isSameText(token, encode(device)) ? device : undefined;
    },
    knows(device, account) {
      const tag = tagOf(account);
      return device.accounts.some((known) => known.tag === tag && isGood(known));
    },
  };
}

function entryOf({ tag, at }: KnownAccount): Buffer {
  const time = Buffer.alloc(4);
  time.writeUInt32BE(at, 0);
  return Buffer.concat([Buffer.from(tag, "base64url"), time]);
}

function decode(text: string): KnownDevice | undefined {
  const bytes = Buffer.from(text, "base64url");
  const start = 1 + idBytes;
  const end = bytes.length - macBytes;
  const isWhole = end > start && (end - start) % entryBytes === 0;
  if (bytes[0] !== version || !isWhole || end - start > maxAccounts * entryBytes) return undefined;
  const accounts: KnownAccount[] = [];
  for (let at = start; at < end; at += entryBytes) {
    const tag = bytes.toString("base64url", at, at + tagBytes);
    accounts.push({ tag, at: bytes.readUInt32BE(at + tagBytes) });
  }
  return { id: bytes.toString("hex", 1, start), accounts };
}
