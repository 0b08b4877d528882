import { addressShare } from "../../net/address-share.ts";
import { verifyClientId } from "../clients/client-id.ts";
import type { Clock } from "../clock.ts";
import { AuthError } from "../errors.ts";
import { joinedStep } from "../joined-step.ts";
import { type Credential, type Peer, systemGroups, type User } from "../model.ts";
import type { LocalLogins } from "../providers/local-logins.ts";
import { loginConflict } from "../providers/new-login.ts";
import { recordKeys } from "../record-keys.ts";
import type { Journal } from "../revocation/journal.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { readRecord, type Step, type Store } from "../store.ts";
import { AttemptWindow } from "../throttling/attempt-window.ts";
import type { AuthorizationCodes } from "../tokens/authorization-codes.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { credentialIn } from "./create-credentials.ts";
import { newUser } from "./create-users.ts";
import { instanceId } from "./instance.ts";
import type { Onboarding, OwnerRequest } from "./onboarding.ts";
import { isSetupCode, setupCodeOf } from "./setup-code.ts";
import { creatingUser } from "./user-changes.ts";

export interface OnboardingOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly sealing: Sealing;
  readonly revocation: Journal;
  readonly localLogins: Pick<LocalLogins, "prepareLogin">;
  readonly sessions: Pick<Sessions, "open">;
  readonly codes: Pick<AuthorizationCodes, "prepare">;
  /** Whether the session of an owner who onboards with this client rotates its refresh token. */
  readonly rotates: (clientId: string | null) => boolean;
}

/**
 * Wrong set-up codes from one address within a minute; the next one is not compared. Counted on this node only: the code is
 * out of reach of guessing, and right ones that come at once must not be in each other's way.
 */
const guessLimits = { limit: 10, windowMs: 60_000 } as const;
/** The password was proved by setting it. */
const proof = { assurance: 1, amr: ["pwd"] } as const;

/**
 * The owner's claim is checked by the commit that makes the owner, so of any number of nodes and calls one wins. The
 * code is compared before anything is hashed.
 */
export function createOnboarding(options: OnboardingOptions): Onboarding {
  const { store, clock, revocation } = options;
  const required = rememberingOwner(async () => (await readRecord(store, recordKeys.owner)) === undefined);
  const setupCode = async () => setupCodeOf(options.sealing, await instanceId(store, clock));
  const orDone = <Result>(work: Promise<Result>) => insteadOfDone(work, required);
  const guesses = new AttemptWindow({ ...guessLimits, clock });
  /** `peer`: whoever asks from outside; undefined for the operator on the machine. */
  const prepare = async (request: OwnerRequest, peer?: Peer) => {
    if (!(await required())) throw new AuthError("onboarding_done");
    const expected = await setupCode();
    const share = peer === undefined ? undefined : addressShare(peer.address);
    if (share !== undefined) guesses.charge(share);
    if (!isSetupCode(request.setupCode, expected)) throw new AuthError("invalid_setup_code");
    if (share !== undefined) guesses.clear(share);
    return orDone(prepareOwner(options, request));
  };
  const commit = async ({ user }: PreparedOwner, step: Step, username: string) => {
    const outcome = await revocation.commit(step);
    if (!outcome.ok) throw loginConflict(outcome.conflict, user.id, username);
    return user;
  };

  return {
    required,
    setupCode,
    async createOwner(request) {
      const owner = await prepare(request);
      return orDone(commit(owner, owner.step, request.username));
    },
    async createOwnerWithSession({ clientId, peer, ...request }) {
      if (clientId !== null && !verifyClientId(clientId)) throw new AuthError("invalid_client");
      const { user, credential, step } = await prepare(request, peer);
      const opening = options.sessions.open({
        ...{ user, userVersion: 0, userEpoch: 0, credential },
        ...{ clientId, clientName: null, rotates: options.rotates(clientId) },
        ...{ ...proof, authenticatedAt: clock.now(), peer, also: step },
      });
      return { user, grant: await orDone(opening) };
    },
    async createOwnerWithCode({ clientId, peer, ...request }) {
      const owner = await prepare(request, peer);
      const { code, step } = options.codes.prepare({
        ...{ userId: owner.user.id, userEpoch: 0, credentialId: owner.credential.id },
        ...{ clientId, clientName: null, redirectUri: null, codeChallenge: null },
        ...{ ...proof, authenticatedAt: clock.now() },
      });
      const user = await orDone(commit(owner, joinedStep(owner.step, step), request.username));
      return { user, code };
    },
  };
}

interface PreparedOwner {
  readonly user: User;
  readonly credential: Credential;
  readonly step: Step;
}

async function prepareOwner(options: OnboardingOptions, request: OwnerRequest): Promise<PreparedOwner> {
  const { name, username, password } = request;
  const groupIds = [systemGroups.admin];
  const user = newUser({ name, groupIds, isOwner: true, createdAt: options.clock.now() });
  const login = await options.localLogins.prepareLogin(user.id, username, password);
  const credential = credentialIn(login);
  if (credential === undefined)
    throw new AuthError("unknown_error", { detail: "the owner's login was prepared without a credential" });
  const claim: Step = {
    check: [{ key: recordKeys.owner, version: 0 }],
    put: [{ key: recordKeys.owner, value: { user_id: user.id } }],
  };
  return { user, credential, step: joinedStep(claim, creatingUser(user), login) };
}

/** Whatever a call fails on because another one made the owner meanwhile, it is told just that. */
async function insteadOfDone<Result>(
  work: Promise<Result>,
  required: () => Promise<boolean>,
): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof AuthError && error.code !== "unavailable" && !(await required()))
      throw new AuthError("onboarding_done", { cause: error });
    throw error;
  }
}

/** An owner stays: that there is one can be said while the store cannot be asked. */
function rememberingOwner(ask: () => Promise<boolean>): () => Promise<boolean> {
  let hasOwner = false;
  return async () => {
    try {
      const required = await ask();
      hasOwner = !required;
      return required;
    } catch (error) {
      if (hasOwner && error instanceof AuthError && error.code === "unavailable") return false;
      throw error;
    }
  };
}
