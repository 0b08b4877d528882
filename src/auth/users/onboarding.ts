import { addressShare } from "../../net/address-share.ts";
import { verifyClientId } from "../clients/client-id.ts";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import { type Assurance, isBelow } from "../factors/assurance.ts";
import { type Credential, type Peer, systemGroups, type User } from "../model.ts";
import type { LocalLogins } from "../providers/homeassistant/local-logins.ts";
import { recordKeys } from "../record-keys.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import type { Sessions, TokenGrant } from "../sessions/sessions.ts";
import { mergeSteps, readRecord, type Step, type Store } from "../store.ts";
import { RateLimiter } from "../throttling/rate-limiter.ts";
import type { AuthorizationCodes } from "../tokens/authorization-codes.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { credentialIn } from "./credentials.ts";
import { instanceId } from "./instance.ts";
import { isSetupCode, setupCodeOf } from "./setup-code.ts";
import { createUserStep } from "./user-changes.ts";
import { newUser } from "./users.ts";

/**
 * Creates the first user, once per installation, guarded by a set-up code that only the server's console shows. The
 * code is derived from the installation's secret and id, so it is the same on every node and after a restart, until
 * it is used.
 */
export interface Onboarding {
  required(): Promise<boolean>;
  /** The code, for the console only. */
  setupCode(): Promise<string>;
  /**
   * Creates the owner, a member of system-admin. Only one of several parallel calls does. Throws
   * `invalid_setup_code`, `onboarding_done`, `invalid_username`, `invalid_password`.
   */
  createOwner(request: OwnerRequest): Promise<User>;
  /**
   * The same, and opens a session for the caller. Throws `invalid_client` too, `not_allowed` if a second factor is
   * demanded of administrators, and `rate_limited` after ten wrong codes from one address (one IPv6 /64) within a minute on
   * this node.
   */
  createOwnerWithSession(
    request: OwnerRequest & { readonly clientId: string | null; readonly peer: Peer },
  ): Promise<{ readonly user: User; readonly grant: TokenGrant & { readonly refreshToken: string } }>;
  /**
   * The same, and an authorization code for `clientId` (Home Assistant's `/api/onboarding/users`). NOT checked here: the
   * client id. Throws `rate_limited` too.
   */
  createOwnerWithCode(
    request: OwnerRequest & { readonly clientId: string; readonly peer: Peer },
  ): Promise<{ readonly user: User; readonly code: string }>;
}

export interface OwnerRequest {
  readonly setupCode: string;
  readonly name: string;
  readonly username: string;
  readonly password: string;
}

export interface OnboardingOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly sealing: Sealing;
  readonly revocation: LogWriter;
  readonly localLogins: Pick<LocalLogins, "prepareLogin" | "conflictOf">;
  readonly sessions: Pick<Sessions, "open">;
  readonly codes: Pick<AuthorizationCodes, "prepare">;
  readonly assurance: Pick<Assurance, "demandOf">;
  /** Whether a provider is configured at which the owner's name and password can be used. */
  readonly hasLocalProvider: boolean;
  /** Whether the session of an owner who onboards with this client rotates its refresh token. */
  readonly rotates: (clientId: string | null) => boolean;
}

/**
 * Wrong set-up codes from one address within a minute; further ones are not compared. Counted on this node only: the
 * code is infeasible to guess, and concurrent right ones must not block each other.
 */
const guessLimits = { limit: 10, windowMs: 60_000 } as const;
/** The password was proved by setting it. */
const proof = { assurance: 1, amr: ["pwd"] } as const;

/**
 * The commit that creates the owner checks the owner record, so only one call on one node succeeds. The code is
 * compared before anything is hashed.
 */
export function createOnboarding(options: OnboardingOptions): Onboarding {
  const { store, clock, revocation } = options;
  const required = cachingOwner(async () => (await readRecord(store, recordKeys.owner)) === undefined);
  const setupCode = async () => setupCodeOf(options.sealing, await instanceId(store, clock));
  const orDone = <Result>(work: Promise<Result>) => reportDoneIfOwned(work, required);
  const guesses = new RateLimiter({ ...guessLimits, clock });
  /** `peer` is undefined for the command line. */
  const prepare = async (request: OwnerRequest, peer?: Peer) => {
    if (!(await required())) throw new AuthError("onboarding_done");
    const expected = await setupCode();
    const share = peer === undefined ? undefined : addressShare(peer.address);
    if (share !== undefined) guesses.charge(share);
    if (!isSetupCode(request.setupCode, expected)) throw new AuthError("invalid_setup_code");
    if (share !== undefined) guesses.clear(share);
    if (!options.hasLocalProvider) throw noLocalProvider();
    return orDone(prepareOwner(options, request));
  };
  const commit = async ({ user }: PreparedOwner, step: Step, username: string) => {
    const outcome = await revocation.commit(step);
    if (!outcome.ok) throw options.localLogins.conflictOf(outcome.conflict, user.id, username);
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
      // The owner is made elsewhere then, and sets a factor up at the first login.
      if (isBelow(proof, await options.assurance.demandOf(user)))
        throw new AuthError("not_allowed", {
          publicMessage:
            "A second factor is demanded of administrators: create the owner on the command line",
        });
      const opening = options.sessions.open({
        user,
        userVersion: 0,
        userEpoch: 0,
        credential,
        clientId,
        clientName: null,
        rotates: options.rotates(clientId),
        ...proof,
        authenticatedAt: clock.now(),
        peer,
        also: step,
      });
      return { user, grant: await orDone(opening) };
    },
    async createOwnerWithCode({ clientId, peer, ...request }) {
      const owner = await prepare(request, peer);
      const { code, step } = options.codes.prepare({
        userId: owner.user.id,
        userEpoch: 0,
        credentialId: owner.credential.id,
        clientId,
        clientName: null,
        redirectUri: null,
        codeChallenge: null,
        ...proof,
        authenticatedAt: clock.now(),
      });
      const user = await orDone(commit(owner, mergeSteps(owner.step, step), request.username));
      return { user, code };
    },
  };
}

function noLocalProvider(): AuthError {
  const publicMessage = "The first owner needs a provider of the type homeassistant in auth_providers";
  return new AuthError("not_supported", { publicMessage });
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
  return { user, credential, step: mergeSteps(claim, createUserStep(user), login) };
}

/** If a call fails and another one has created the owner meanwhile, it throws `onboarding_done`. */
async function reportDoneIfOwned<Result>(
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

/** An owner is never removed, so a known one can be reported while the store is unavailable. */
function cachingOwner(ask: () => Promise<boolean>): () => Promise<boolean> {
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
