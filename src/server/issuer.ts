import { setTimeout } from "node:timers/promises";
import { recordKeys } from "../auth/record-keys.ts";
import { leaseMs } from "../auth/revocation/lease.ts";
import { readRecord, type Store } from "../auth/store.ts";
import { OperatorError } from "./config/problems.ts";
import type { Config } from "./config/schema.ts";
import { configuredUrl } from "./public-url.ts";

/** The nodes of an installation would issue tokens under different names. `message` says what to set. */
export class IssuerError extends OperatorError {
  constructor(message: string) {
    super(message);
    this.name = "IssuerError";
  }
}

/** A crashed node may seem alive for one lease, and its last heartbeat may have been read a little later, ms. */
const deadNodeMs = leaseMs + 1_000;
const pauseMs = 100;

/**
 * Stores this node's issuer for the other nodes and for commands. All nodes that run at the same time must have the
 * same issuer: a backend compares `iss`, and would accept the tokens of one node only. So a node does not start if its
 * issuer differs from that of running nodes. A node that runs alone may change it. Throws `IssuerError`.
 */
export async function agreeOnIssuer(
  store: Store,
  issuer: string,
  others: { readonly nodes: number },
): Promise<void> {
  const end = performance.now() + deadNodeMs;
  for (;;) {
    const record = await readRecord(store, recordKeys.issuer);
    const agreed = textOf(record?.value.issuer);
    if (agreed === issuer) return;
    if (agreed !== undefined && others.nodes > 1) {
      if (performance.now() >= end) throw issuerMismatch(agreed, issuer);
      await setTimeout(pauseMs);
      continue;
    }
    const outcome = await store.commit({
      check: [{ key: recordKeys.issuer, version: record?.version ?? 0 }],
      put: [{ key: recordKeys.issuer, value: { issuer } }],
    });
    if (outcome.ok) return;
    // Another node started at the same moment. Its heartbeat may not have been read yet, so it counts as running.
    const other = await storedIssuer(store);
    if (other !== undefined && other !== issuer) throw issuerMismatch(other, issuer);
  }
}

export async function storedIssuer(store: Store): Promise<string | undefined> {
  return textOf((await readRecord(store, recordKeys.issuer))?.value.issuer);
}

/**
 * The issuer for a command, which knows neither the host nor the port of the gateways: the configured one, or the one
 * that they stored. Throws `IssuerError` if the two differ, or if neither is known.
 */
export function issuerForCommands(
  config: Pick<Config, "public_url" | "tokens">,
  remembered: string | undefined,
): string {
  const { tokens, public_url } = config;
  const configured = tokens.issuer ?? (public_url === null ? undefined : configuredUrl(public_url));
  const issuer = configured ?? remembered;
  if (issuer === undefined)
    throw new IssuerError(
      "no gateway has run on this store yet, so the issuer of its tokens is unknown: start it once, or set public_url",
    );
  if (remembered !== undefined && remembered !== issuer)
    throw new IssuerError(
      `the gateways of this store issue tokens as ${remembered}, this command would as ${issuer}: give the command the gateways' configuration`,
    );
  return issuer;
}

function issuerMismatch(agreed: string, issuer: string): IssuerError {
  return new IssuerError(
    `other nodes on this store issue tokens as ${agreed}, this one would as ${issuer}: set the same public_url (or tokens.issuer) on all of them`,
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
