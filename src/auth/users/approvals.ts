import { randomInt } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import { Handler } from "../../../protocol/flow.ts";
import { addressShare } from "../../net/address-share.ts";
import { type Clock, isCertainlyPast } from "../clock/clock.ts";
import { newComparisonCode } from "../comparison-code.ts";
import { AuthError } from "../errors.ts";
import type { EventBus } from "../event-bus.ts";
import type { User } from "../model.ts";
import { isInNamespace } from "../permissions/command-rules.ts";
import { type KnownGroups, requireGroups } from "../permissions/known-groups.ts";
import { recordKeys } from "../record-keys.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { createKeyedQueue } from "../scheduling/keyed-queue.ts";
import { mergeSteps, readRecord, retryConflicts, type Step, type Store } from "../store.ts";
import { isPending } from "./account-status.ts";
import type { CredentialRemoval } from "./credentials.ts";
import { changeUserStep, removeUserStep } from "./user-changes.ts";
import { parseUser, readUserStatus, type UserStatus } from "./user-record.ts";
import { isAdmin, type PermitUserChange } from "./users.ts";

const Text = Type.Union([Type.String(), Type.Null()]);
const ApprovalRecord = Type.Object({
  userId: Type.String(),
  /** Display name. The person may have chosen it. */
  name: Text,
  /** Who the person is at the provider. */
  subject: Type.String(),
  provider: Handler,
  clientId: Text,
  /** The device's own name of itself. */
  clientName: Text,
  address: Text,
  /** For the person and whoever approves to compare. */
  code: Type.String(),
  requestedAt: Type.Number(),
  endsAt: Type.Number(),
});
/** A pending user, and the login that asked last. Times in ms since the epoch. */
export type Approval = Static<typeof ApprovalRecord>;
const WaitingList = Compile(Type.Object({ waiting: Type.Array(ApprovalRecord) }));

/** The same with the groups that the user will have, unless the decision names others. */
export type WaitingApproval = Approval & { readonly groupIds: readonly string[] };

export type ApprovalRequest = Omit<Approval, "code" | "requestedAt" | "endsAt">;

export interface ApprovalLimits {
  /** How many users may wait, in all, of one provider, and from one address (one IPv6 /64). */
  readonly total: number;
  readonly perProvider: number;
  readonly perAddress: number;
  /** How long a user waits after the last login, ms. Then the user is removed. */
  readonly waitMs: number;
}

export const defaultApprovalLimits: ApprovalLimits = {
  total: 100,
  perProvider: 50,
  perAddress: 5,
  waitMs: 7 * 86_400_000,
};

/** Who may approve: the owner only, or every administrator. */
export type Approvers = "owner" | "administrators";

/**
 * Users who wait for approval. They are one record, so that a commit can check how many wait, and so that of several
 * decisions on one user one is carried out. A user who is not pending any more, because an administrator changed the
 * user itself, waits no more either: no list contains the user, and nobody is refused for want of the place.
 */
export interface Approvals {
  /** Whether this user may see and decide. */
  mayDecide(user: User): boolean;
  /** Whether a group can give it to others too. It cannot if only the owner decides. */
  readonly isDelegable: boolean;
  /** Whether a command, or a namespace of commands, is for the owner alone because only the owner decides. */
  isOwnersAlone(typeOrNamespace: string): boolean;
  /**
   * Makes a pending user wait, or notes that the user has asked again: the code stays, the rest is of the last login,
   * but for logins that follow within seconds.
   * `also` is committed with a new entry only. Undefined: too many wait, and nothing was committed.
   */
  wait(request: ApprovalRequest, also?: Step): Promise<Approval | undefined>;
  /** Those who wait, oldest first. */
  list(): Promise<readonly WaitingApproval[]>;
  /**
   * Makes the user active, with these groups if given. Throws `not_found` if nobody waits with this id: also if
   * another call decided first. Throws `invalid_group`.
   */
  approve(userId: string, groupIds?: readonly string[], permit?: PermitUserChange): Promise<User>;
  /** Removes the user and the credential. Throws `not_found` as above. */
  refuse(userId: string): Promise<void>;
  /** Removes users who have waited too long, some at each call. */
  removeExpired(): Promise<void>;
  /** Calls the listener whenever a user has asked, on whatever node. A call may be lost: also read the list. */
  onRequest(listener: (approval: WaitingApproval) => void): () => void;
}

export interface ApprovalOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Pick<Revocation, "revoke"> & LogWriter;
  readonly credentials: CredentialRemoval;
  readonly groups: Pick<KnownGroups, "existing" | "among">;
  readonly events: Pick<EventBus, "publish" | "subscribe">;
  readonly onFault?: ((error: unknown) => void) | undefined;
  readonly limits?: Partial<ApprovalLimits> | undefined;
  /** The owner by default. */
  readonly approvers?: Approvers | undefined;
}

/** The topic of the event that a user has asked: `{user_id}`. */
const topic = "approval_requested";
/**
 * The least time between two writes of an entry, ms. Every write makes decisions on all users begin again, and tells
 * everybody who may decide: nobody who waits may cause many.
 */
const noteAgainMs = { otherLogin: 5_000, sameLogin: 60_000 };
/** Most bytes of the record as JSON; a store takes a little more. Names, subjects and devices are what strangers say. */
const mostBytes = 1_000_000;
/** How many expired users one call removes. */
const removedAtOnce = 8;

/** How often `retryConflicts` is repeated for whoever has a turn. */
const mostRounds = 5;

interface Waiting {
  readonly all: readonly Approval[];
  readonly version: number;
}

export function createApprovals(options: ApprovalOptions): Approvals {
  const limits = { ...defaultApprovalLimits, ...options.limits };
  const tools = { ...options, limits };
  const turns = createKeyedQueue();
  // All write one record. Whoever was in conflict takes turns with others of this node, so many at once all succeed.
  // Those who ask do not delay those who decide.
  const inTurn = async <Result>(who: "asks" | "decides", attempt: () => Promise<Result | undefined>) =>
    (await attempt()) ?? (await turns.run(who, () => patiently(attempt)));
  return {
    mayDecide: (user) => (options.approvers === "administrators" ? isAdmin(user) : user.isOwner),
    isDelegable: options.approvers === "administrators",
    isOwnersAlone: (type) =>
      options.approvers !== "administrators" && isInNamespace(type, "gatehouse/approvals"),
    async wait(request, also) {
      await removeExpired(tools);
      const noted = await inTurn("asks", () => waitOnce(tools, request, also));
      if (noted === "full") return undefined;
      if (noted.isNews) options.events.publish(topic, { user_id: request.userId });
      return noted.approval;
    },
    list: () => listPending(tools),
    async approve(userId, groupIds, permit) {
      if (groupIds !== undefined) await requireGroups(options.groups, groupIds);
      return await inTurn("decides", () => approveOnce(tools, userId, groupIds, permit));
    },
    async refuse(userId) {
      await inTurn("decides", () => removeOnce(tools, userId, () => true));
    },
    removeExpired: () => removeExpired(tools),
    onRequest: (listener) =>
      options.events.subscribe(topic, {
        onMessage: ({ user_id: userId }) => {
          findWaiting(tools, userId).then((found) => found && listener(found), options.onFault);
        },
        onGap: () => undefined,
      }),
  };
}

/**
 * As `retryConflicts`, with pauses of a random length: another node that takes turns of its own may be faster each time.
 */
async function patiently<Result>(attempt: () => Promise<Result | undefined>): Promise<Result> {
  for (let round = 1; ; round += 1) {
    try {
      return await retryConflicts(attempt);
    } catch (error) {
      const isConflict = error instanceof AuthError && error.code === "conflict";
      if (!isConflict || round === mostRounds) throw error;
      await pause(randomInt(1, 20 * round));
    }
  }
}

type Tools = ApprovalOptions & { readonly limits: ApprovalLimits };

async function readWaiting({ store }: Tools): Promise<Waiting> {
  const record = await readRecord(store, recordKeys.approvals);
  if (record === undefined) return { all: [], version: 0 };
  if (!WaitingList.Check(record.value))
    throw new AuthError("unavailable", { detail: "the record of approvals is damaged" });
  return { all: record.value.waiting, version: record.version };
}

/** The part of a commit that writes the list, if it has not changed since it was read. */
function waitingStep({ version }: Waiting, waiting: readonly Approval[]): Step {
  const key = recordKeys.approvals;
  return { check: [{ key, version }], put: [{ key, value: { waiting: [...waiting] } }] };
}

async function findWaiting(tools: Tools, userId: unknown): Promise<WaitingApproval | undefined> {
  const { all } = await readWaiting(tools);
  const [found] = await stillPending(
    tools,
    all.filter((each) => each.userId === userId && isLive(tools, each)),
  );
  return found;
}

async function listPending(tools: Tools): Promise<readonly WaitingApproval[]> {
  await removeExpired(tools);
  const { all } = await readWaiting(tools);
  return await stillPending(
    tools,
    all.filter((each) => isLive(tools, each)),
  );
}

function isLive({ clock }: Tools, { endsAt }: Approval): boolean {
  return endsAt > clock.now();
}

async function stillPending(
  { store, groups }: Tools,
  all: readonly Approval[],
): Promise<readonly WaitingApproval[]> {
  if (all.length === 0) return [];
  const records = await store.get(all.map(({ userId }) => recordKeys.user(userId)));
  const waiting = all.map(async (approval, place) => {
    const user = records[place] && parseUser(records[place]);
    if (user === undefined || !isPending(user)) return undefined;
    return { ...approval, groupIds: await groups.among(user.groupIds) };
  });
  return (await Promise.all(waiting)).filter((each) => each !== undefined);
}

async function placesTaken(tools: Tools, all: readonly Approval[]): Promise<readonly Approval[]> {
  const pending = new Set((await stillPending(tools, all)).map(({ userId }) => userId));
  return all.filter(({ userId }) => pending.has(userId));
}

async function waitOnce(
  tools: Tools,
  request: ApprovalRequest,
  also: Step | undefined,
): Promise<"full" | { readonly approval: Approval; readonly isNews: boolean } | undefined> {
  const waiting = await readWaiting(tools);
  const now = tools.clock.now();
  const known = waiting.all.find(({ userId }) => userId === request.userId);
  if (known !== undefined && isNotedLately(known, request, now)) return { approval: known, isNews: false };
  const isNew = known === undefined;
  // Entries of users who are not pending any more take no place.
  const all =
    isNew && isFull(waiting.all, request, tools.limits) ? await placesTaken(tools, waiting.all) : waiting.all;
  if (isNew && isFull(all, request, tools.limits)) return "full";
  const approval = {
    ...request,
    code: known?.code ?? newComparisonCode(),
    requestedAt: now,
    endsAt: now + tools.limits.waitMs,
  };
  const next = [...all.filter((each) => each !== known), approval];
  if (Buffer.byteLength(JSON.stringify(next)) > mostBytes)
    return isNew ? "full" : { approval: known, isNews: false };
  const outcome = await tools.revocation.commit(
    mergeSteps(waitingStep(waiting, next), isNew ? also : undefined),
  );
  if (outcome.ok) return { approval, isNews: true };
  // What is in conflict may be the new user's credential: another login of the same person has made the user.
  const isListOnly = outcome.conflict === recordKeys.approvals;
  return also === undefined || isListOnly ? undefined : { approval, isNews: false };
}

function isNotedLately(known: Approval, request: ApprovalRequest, now: number): boolean {
  const { address, clientId, clientName, name } = request;
  const isSame =
    known.address === address &&
    known.clientId === clientId &&
    known.clientName === clientName &&
    known.name === name;
  const age = now - known.requestedAt;
  // A time of the future was written by a clock that was wrong.
  return age >= 0 && age < (isSame ? noteAgainMs.sameLogin : noteAgainMs.otherLogin);
}

function isFull(
  all: readonly Approval[],
  { provider, address }: ApprovalRequest,
  { total, perProvider, perAddress }: ApprovalLimits,
): boolean {
  const share = addressShare(address);
  const ofProvider = all.filter((each) => each.provider.join() === provider.join()).length;
  const ofAddress = all.filter((each) => addressShare(each.address) === share).length;
  return all.length >= total || ofProvider >= perProvider || ofAddress >= perAddress;
}

/** Undefined: a record changed meanwhile. */
async function approveOnce(
  tools: Tools,
  userId: string,
  groupIds: readonly string[] | undefined,
  permit: PermitUserChange | undefined,
): Promise<User | undefined> {
  const { waiting, status } = await readDecision(tools, userId);
  const approved: User = {
    ...status.user,
    state: "active",
    groupIds: groupIds === undefined ? status.user.groupIds : [...new Set(groupIds)],
  };
  const check = await permit?.({ before: status.user, after: approved });
  const others = waiting.all.filter((each) => each.userId !== userId);
  const outcome = await tools.revocation.commit(
    mergeSteps(check && { check }, changeUserStep(status, approved), waitingStep(waiting, others)),
  );
  return outcome.ok ? approved : undefined;
}

/** Throws `not_found` unless the user waits. */
async function readDecision(
  tools: Tools,
  userId: string,
): Promise<{ readonly waiting: Waiting; readonly status: UserStatus }> {
  const waiting = await readWaiting(tools);
  const isListed = waiting.all.some((each) => each.userId === userId && isLive(tools, each));
  const status = isListed ? await readUserStatus(tools.store, userId) : undefined;
  if (status === undefined || !isPending(status.user)) throw nobodyWaits();
  return { waiting, status };
}

function nobodyWaits(): AuthError {
  return new AuthError("not_found", { publicMessage: "Nobody waits for approval with this id" });
}

/**
 * Removes a pending user who is listed, and the entry. Removes only the entry if the user is not pending any more.
 * Undefined: a record changed meanwhile. Throws `not_found` if no entry of the user fits.
 */
async function removeOnce(
  tools: Tools,
  userId: string,
  fits: (approval: Approval) => boolean,
): Promise<true | undefined> {
  const waiting = await readWaiting(tools);
  const entry = waiting.all.find((each) => each.userId === userId);
  if (entry === undefined || !fits(entry)) throw nobodyWaits();
  const status = await readUserStatus(tools.store, userId);
  const dropped = waitingStep(
    waiting,
    waiting.all.filter((each) => each !== entry),
  );
  if (status === undefined || !isPending(status.user)) {
    const outcome = await tools.revocation.commit(dropped);
    if (!outcome.ok) return undefined;
    throw nobodyWaits();
  }
  const removal = mergeSteps(
    removeUserStep(userId, status.version),
    await tools.credentials.unlinkAllStep(userId),
    dropped,
  );
  try {
    await tools.revocation.revoke({ kind: "user", userId }, "user_removed", { also: removal });
    return true;
  } catch (error) {
    if (error instanceof AuthError && error.code === "conflict") return undefined;
    throw error;
  }
}

async function removeExpired(tools: Tools): Promise<void> {
  const { all } = await readWaiting(tools);
  const isOver = ({ endsAt }: Approval) => isCertainlyPast(tools.clock, endsAt);
  for (const { userId } of all.filter(isOver).slice(0, removedAtOnce)) {
    await retryConflicts(() => removeOnce(tools, userId, isOver)).catch((error: unknown) => {
      // Somebody else has removed the user, or the user has asked again.
      if (!(error instanceof AuthError) || error.code !== "not_found") throw error;
    });
  }
}
