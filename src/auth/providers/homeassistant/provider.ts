import { isResetCode, NEW_PASSWORD_STEP } from "../../../../protocol/reset-code.ts";
import { SCRAM_STEP } from "../../../../protocol/scram.ts";
import { AuthError } from "../../errors.ts";
import { areSameCosts } from "../../passwords/cost-in-use.ts";
import { isImported } from "../../passwords/imported/imported-hash.ts";
import { listParameters, retireImported } from "../../passwords/parameters-in-use.ts";
import type { QueuePlace } from "../../passwords/passwords.ts";
import { costOfStored } from "../../passwords/verifier.ts";
import type { Revocation } from "../../revocation/revocation.ts";
import { mayLogIn } from "../../users/account-status.ts";
import { queuePlaceOf } from "../bounded-tries.ts";
import { refusedPassword } from "../password-form.ts";
import type { LoginProvider, ProviderContext, ProviderStep } from "../provider.ts";
import { normaliseLoginName, storedLoginName } from "./login-name.ts";
import {
  type LocalProviderId,
  localLoginKey,
  localLoginPut,
  localType,
  noLongerImported,
  passwordVersionOf,
  type ReadLocalLogin,
  readForLogin,
  readLocalLogin,
  secretVersionOf,
} from "./login-record.ts";
import { done, ownerOf, type ProviderParts } from "./proved-login.ts";
import { beginReset, concludeReset, finishReset } from "./reset-login.ts";
import { createScramLogin } from "./scram-login.ts";

export interface HomeAssistantProviderOptions extends Omit<ProviderParts, "id"> {
  readonly revocation: Pick<Revocation, "revoke">;
  /** Distinguishes providers of this type; null by default. */
  readonly id?: LocalProviderId | undefined;
  /** Shown to people; Home Assistant's by default. */
  readonly name?: string | undefined;
}

type Options = Omit<HomeAssistantProviderOptions, "id"> & Pick<ProviderParts, "id">;

/** Login names and passwords of this installation, like Home Assistant's provider `homeassistant`. */
export function createHomeAssistantProvider(given: HomeAssistantProviderOptions): LoginProvider {
  const options = { ...given, id: given.id ?? null };
  const scram = createScramLogin(options);
  return {
    type: localType,
    id: options.id,
    name:
      options.name ?? (options.id === null ? "Home Assistant Local" : `Home Assistant Local (${options.id})`),
    supportsMfa: true,
    guessedName(stepId, { username, mechanism }, state = {}) {
      if (stepId === SCRAM_STEP) return mechanism === undefined ? scram.nameOf(state) : undefined;
      return typeof username === "string" ? normaliseLoginName(username) : undefined;
    },
    async secretVersion(stepId, { username }, state) {
      const proved = stepId === SCRAM_STEP ? scram.storedNameOf(state) : undefined;
      const stored = proved ?? (await storedLoginName(options.credentials, options.id, String(username)));
      const found = await readLocalLogin(options.store, options.id, stored);
      return found && secretVersionOf(found);
    },
    // Both messages of a proof.
    isJudgedAtOnce: (stepId, { mechanism }) => stepId === SCRAM_STEP || mechanism !== undefined,
    warnings: () => scram.warnings(),
    conclude: (pending, login) => concludeReset(options, pending, login),
    begin: ({ peer }) => Promise.resolve(scram.form(peer)),
    async advance(stepId, input, state, context) {
      if (input.mechanism !== undefined) return await scram.first(input, state, context);
      if (stepId === SCRAM_STEP) return await scram.final(input, state, context);
      const { username, password } = input;
      const refused = scram.refused(context.peer);
      if (stepId === NEW_PASSWORD_STEP) return await finishReset(options, input, state, context, refused);
      if (typeof username !== "string" || typeof password !== "string") return refused;
      const stored = await storedLoginName(options.credentials, options.id, username);
      const step = await checkLogin(options, stored, password, context);
      if (step.kind === "done") return { ...step, form: refused };
      if (step.kind !== "form") return step;
      // Looked at only after a whole check, so that a guess at a code is no cheaper than one at a password.
      const isCode = context.mayReset === true && isResetCode(password);
      const reset = isCode && (await codeLogin(options, stored, password, context));
      return reset || { ...step, ...refused };
    },
  };
}

async function codeLogin(
  options: Options,
  username: string,
  code: string,
  context: ProviderContext,
): Promise<ProviderStep | undefined> {
  const { found } = await readForLogin(options.store, options.id, username);
  return await beginReset(options, found, { username, code }, context);
}

/** `tries`: a concurrent login of the same user may replace the verifier, once for each change of parameters. */
async function checkLogin(
  options: ProviderParts,
  username: string,
  password: string,
  context: ProviderContext,
  tries = 2,
): Promise<ProviderStep> {
  const place = queuePlaceOf(username, context);
  const { found, inUse } = await readForLogin(options.store, options.id, username);
  const usable = found?.login.closed === false && found.login.replaced !== true;
  const verifier = usable ? found.login.verifier : undefined;
  const cost = verifier && costOfStored(verifier);
  if (cost !== undefined && !inUse.some((each) => areSameCosts(each, cost)))
    await listParameters(options.store, cost);
  // Always both, and concurrently, so that the response time reveals neither look-ups nor their number.
  const [verdict, owner] = await Promise.all([
    options.passwords.verify(password, verifier, place, inUse),
    ownerOf(options, username),
  ]);
  const user = owner?.versionedUser.user;
  const who = user === undefined ? {} : { userId: user.id };
  const welcome = user !== undefined && mayLogIn(user, context.peer);
  if (found === undefined || !verdict.ok || !welcome) return { ...refusedPassword, ...who };
  if (!verdict.outdated) return { ...done(found), ...who };
  const upgraded = await upgrade(options, found, password, place);
  if (upgraded !== undefined) return { ...done(upgraded), ...who };
  return tries > 1
    ? await checkLogin(options, username, password, context, tries - 1)
    : { ...refusedPassword, ...who };
}

/**
 * Replaces what is stored with a verifier of the current parameters, after the password was verified. Returns the record
 * that the login is now decided on, or undefined if the record changed meanwhile. If the queue is full,
 * the old verifier or hash stays.
 */
async function upgrade(
  { store, passwords, clock }: ProviderParts,
  found: ReadLocalLogin,
  password: string,
  place: QueuePlace,
): Promise<ReadLocalLogin | undefined> {
  const { login, version } = found;
  const verifier = await passwords.enrol(password, place.key, { proven: true }).catch((error: unknown) => {
    if (error instanceof AuthError && error.code === "overloaded") return undefined;
    throw error;
  });
  if (verifier === undefined) return found;
  await listParameters(store, passwords.parameters);
  const passwordVersion = passwordVersionOf(found);
  const renewed = { ...login, verifier, changedAt: clock.now(), passwordVersion };
  const outcome = await store.commit({
    check: [{ key: localLoginKey(login.providerId, login.username), version }],
    put: localLoginPut(renewed),
    ...noLongerImported(login),
  });
  if (outcome.ok && isImported(login.verifier)) await retireImported(store);
  return outcome.ok ? { login: renewed, version: outcome.version } : undefined;
}
