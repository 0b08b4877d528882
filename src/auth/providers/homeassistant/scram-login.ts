import {
  isProofCost,
  SCRAM_MECHANISM,
  SCRAM_PLUS_MECHANISM,
  SCRAM_STEP,
} from "../../../../protocol/scram.ts";
import type { Peer } from "../../model.ts";
import { areSameCosts, type CostInUse, isNative } from "../../passwords/cost-in-use.ts";
import { costText } from "../../passwords/imported/imported-cost.ts";
import { isImported } from "../../passwords/imported/imported-hash.ts";
import { listParameters, parametersIn } from "../../passwords/parameters-in-use.ts";
import type { StoredPassword, Verifier } from "../../passwords/passwords.ts";
import {
  beginExchange,
  type ClientFirst,
  judgeProof,
  readClientFinal,
  readClientFirst,
  type ScramExchange,
} from "../../passwords/scram.ts";
import { createStandIns, type StandIns } from "../../passwords/stand-in.ts";
import { costOfStored } from "../../passwords/verifier.ts";
import { providerKey, recordKeys } from "../../record-keys.ts";
import { type JsonObject, readRecord, type StoredRecord } from "../../store.ts";
import { mayLogIn } from "../../users/account-status.ts";
import { passwordForm, refusedPassword } from "../password-form.ts";
import type { AskingForm, ProviderContext, ProviderStep } from "../provider.ts";
import { normaliseLoginName, storedLoginName } from "./login-name.ts";
import { type LocalLogin, localType, readForLogin } from "./login-record.ts";
import { done, ownerOf, type ProviderParts } from "./proved-login.ts";

/** Logins at this provider whose password does not cross the wire. */
export interface ScramLogin {
  /** Home Assistant's form, with the mechanisms that this peer may answer it with. */
  form(peer: Peer): AskingForm;
  refused(peer: Peer): AskingForm;
  /** Why nobody's password is proved although the configuration lets it. */
  warnings(): Promise<readonly string[]>;
  /** The name that tries are counted for, of an exchange that has begun. */
  nameOf(state: JsonObject): string | undefined;
  /** The name that the login is stored under; undefined as for `nameOf`. */
  storedNameOf(state: JsonObject): string | undefined;
  first(
    input: Readonly<Record<string, unknown>>,
    state: JsonObject,
    context: ProviderContext,
  ): Promise<ProviderStep>;
  final(
    input: Readonly<Record<string, unknown>>,
    state: JsonObject,
    context: ProviderContext,
  ): Promise<ProviderStep>;
}

const fields: AskingForm["fields"] = [{ name: "client_final", type: "string", required: true }];

/** What the flow's record keeps between the client's two messages. */
interface Exchanging extends ScramExchange {
  /** As tries are counted, and as the login is stored. */
  readonly name: string;
  readonly stored: string;
}

type Parts = ProviderParts & { readonly standIn: StandIns };

/** No mechanism is offered if new passwords are hashed at a cost that clients refuse. */
export function createScramLogin(options: ProviderParts): ScramLogin {
  const parts = { ...options, standIn: createStandIns(options.sealing) };
  const isOffered = isProofCost(options.passwords.parameters);
  const offering = (form: AskingForm, peer: Peer): AskingForm => {
    if (!isOffered) return form;
    const isBound = peer.channelBinding?.() !== undefined;
    const mechanisms = isBound ? [SCRAM_PLUS_MECHANISM, SCRAM_MECHANISM] : [SCRAM_MECHANISM];
    return { ...form, mechanisms, state: { binding_offered: isBound } };
  };
  const refused = (peer: Peer) => offering(refusedPassword, peer);
  return {
    form: (peer) => offering(passwordForm, peer),
    refused,
    warnings: async () => (isOffered ? await unprovable(options.store) : []),
    nameOf: (state) => exchangeIn(state)?.name,
    storedNameOf: (state) => exchangeIn(state)?.stored,
    first: async (input, state, context) =>
      // A node that offers it may have sent the form.
      isOffered
        ? await takeFirst(parts, input, state, context, offering(passwordForm, context.peer))
        : passwordForm,
    final: (input, state, context) => takeFinal(parts, input, state, context, refused(context.peer)),
  };
}

async function unprovable(store: ProviderParts["store"]): Promise<readonly string[]> {
  const inUse = parametersIn(await readRecord(store, recordKeys.scryptParameters));
  const costs = inUse.filter((cost) => !isProvable(cost)).map(textOf);
  if (costs.length === 0) return [];
  return [
    `some passwords, here or at another provider of this type, cannot be proved, because they are imported or hashed at another cost (${costs.join("; ")}): until each was sent once or changed, clients send a password whose proof was refused`,
  ];
}

function textOf(cost: CostInUse): string {
  return isNative(cost) ? `N=${cost.N} r=${cost.r} p=${cost.p}` : costText(cost);
}

function isProvable(cost: CostInUse): boolean {
  return isNative(cost) && isProofCost(cost);
}

/** Undefined for a password that is checked only as it is. */
function provable(stored: StoredPassword | undefined): Verifier | undefined {
  return stored === undefined || isImported(stored) || !isProofCost(stored) ? undefined : stored;
}

/**
 * Answers with salt, parameters and nonce. Names without a login get a stand-in after the same look-ups, and so do names
 * whose password can only be checked as it is: their proof fails as that of an unknown name does, and then the password
 * itself may be sent, see `takeFinal`.
 */
async function takeFirst(
  parts: Parts,
  { mechanism, initial_response }: Readonly<Record<string, unknown>>,
  state: JsonObject,
  { peer }: ProviderContext,
  offered: AskingForm,
): Promise<ProviderStep> {
  const first = readClientFirst(String(initial_response), String(mechanism));
  if (isDowngraded(first.binding, state, peer)) return { kind: "abort", reason: "downgrade_detected" };
  const name = normaliseLoginName(first.username);
  const stored = await storedLoginName(parts.credentials, parts.id, first.username);
  const { found, inUse, standIns } = await readForLogin(parts.store, parts.id, stored);
  const cost = found && costOfStored(found.login.verifier);
  if (cost !== undefined && !inUse.some((each) => areSameCosts(each, cost)))
    await listParameters(parts.store, cost);
  const verifier = provable(found?.login.verifier) ?? standInOf(parts, standIns, stored, inUse);
  const exchange: Exchanging = { ...beginExchange(first, verifier), name, stored };
  return {
    kind: "form",
    stepId: SCRAM_STEP,
    fields,
    placeholders: { server_first: exchange.serverFirst },
    // The exchange can be begun anew.
    mechanisms: offered.mechanisms,
    state: { ...offered.state, scram: { ...exchange } },
  };
}

/**
 * Whether somebody in between has removed the offer (RFC 5802 section 6), or ended the client's TLS. A client that could
 * bind its own connection has TLS 1.3, so on TLS that this server ends, any version of it, it would have been offered that.
 */
function isDowngraded(binding: ClientFirst["binding"], state: JsonObject, { channelBinding }: Peer): boolean {
  if (binding === "believes_unbound") return state.binding_offered === true || channelBinding !== undefined;
  return binding === "bound" && channelBinding?.() === undefined;
}

/**
 * Judges the proof. If some password here can only be checked as it is, every refusal says that the password may be sent:
 * it would tell whose password that is if only those names had it.
 */
async function takeFinal(
  parts: Parts,
  { client_final }: Readonly<Record<string, unknown>>,
  state: JsonObject,
  { peer }: ProviderContext,
  form: AskingForm,
): Promise<ProviderStep> {
  const final = readClientFinal(String(client_final));
  const exchange = exchangeIn(state);
  if (exchange === undefined) return form;
  const { stored } = exchange;
  const [{ found, inUse, standIns }, owner] = await Promise.all([
    readForLogin(parts.store, parts.id, stored),
    ownerOf(parts, stored),
  ]);
  const standIn = standInOf(parts, standIns, stored, inUse);
  const isBound = exchange.gs2Header.startsWith("p=");
  const bound = isBound ? peer.channelBinding?.() : undefined;
  const verdict = judgeProof(exchange, final, provable(usableOf(found?.login)) ?? standIn, bound);
  const refused: AskingForm = inUse.every(isProvable) ? form : { ...form, mayBeSent: true };
  // The flow may have gone to a socket that nothing can be bound to.
  const ok = verdict.ok && isBound === (bound !== undefined);
  const user = owner?.versionedUser.user;
  const who = user === undefined ? {} : { userId: user.id };
  const welcome = user !== undefined && mayLogIn(user, peer);
  if (found === undefined || !ok || !welcome) return { ...refused, ...who };
  const { serverFinal } = verdict;
  return { ...done(found), ...who, asRead: owner, serverFinal, form: refused };
}

function standInOf(
  parts: Parts,
  kept: StoredRecord | undefined,
  stored: string,
  inUse: readonly CostInUse[],
): Verifier {
  const [first = parts.passwords.parameters, ...others] = inUse.filter(isNative).filter(isProofCost);
  return parts.standIn(kept, providerKey(localType, parts.id), stored, [first, ...others]);
}

/** Undefined for a login with which nobody logs in. */
function usableOf(login: LocalLogin | undefined): StoredPassword | undefined {
  return login?.closed === false && login.replaced !== true ? login.verifier : undefined;
}

function exchangeIn({ scram }: JsonObject): Exchanging | undefined {
  if (!isObject(scram)) return undefined;
  const { gs2Header, bare, nonce, serverFirst, name, stored } = scram;
  const isWhole =
    typeof gs2Header === "string" &&
    typeof bare === "string" &&
    typeof nonce === "string" &&
    typeof serverFirst === "string" &&
    typeof name === "string" &&
    typeof stored === "string";
  return isWhole ? { gs2Header, bare, nonce, serverFirst, name, stored } : undefined;
}

function isObject(value: JsonObject[string]): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
