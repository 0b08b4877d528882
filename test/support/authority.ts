import type { Authority } from "../../src/auth/authority.ts";
import { type AuthorityOptions, createAuthority } from "../../src/auth/authority.ts";
import type { Credential, Peer, Principal, User } from "../../src/auth/model.ts";
import type { NewSession } from "../../src/auth/sessions/sessions.ts";
import type { LogFollower, Store } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { type HandClock, handClock } from "./hand-clock.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Cheap, so that tests do not wait for scrypt. No test depends on its strength. */
export const cheapScrypt = { N: 1024, r: 8, p: 1 } as const;
export const home = { address: "192.168.1.20" } satisfies Peer;
export const abroad = { address: "203.0.113.9" } satisfies Peer;
export const ownerLogin = { name: "Olivia", username: "olivia", password: "correct horse battery" } as const;

/** An Authority on a store, fed from the store's log. */
export interface TestAuthority {
  readonly authority: Authority;
  readonly store: Store;
  readonly clock: HandClock;
  readonly secret: Uint8Array;
  /** The owner; created as the installation's first user if there is none yet. */
  owner(): Promise<User>;
  /** An active user of system-users with a local login whose password is `ownerLogin.password`. */
  user(username: string): Promise<{ readonly user: User; readonly credential: Credential }>;
  /** Opens a session of the user as a login does. */
  open(userId: string, more?: Partial<NewSession>): ReturnType<Authority["sessions"]["open"]>;
  /** The principal of an access token, which this node must accept. */
  principal(accessToken: string, peer?: Peer): Promise<Principal>;
  /**
   * Another node, or this one after a restart: a new Authority on the same store, with an empty view that catches up.
   */
  another(options?: { readonly fed?: boolean }): Promise<TestAuthority>;
  stop(): Promise<void>;
}

export type TestAuthorityOptions = Partial<Omit<AuthorityOptions, "clock">> & { readonly clock?: HandClock };

/**
 * A temporary embedded store and an Authority on it, with a manually advanced clock. The store polls in real time, so
 * the feed continues whatever the clock says.
 */
export async function startAuthority(options: TestAuthorityOptions = {}): Promise<TestAuthority> {
  const { clock = handClock(), store: given, ...rest } = options;
  const folder = temporaryFolder();
  const store = given ?? (await openEmbeddedStore(embedded(folder.path, clock)));
  const node = await startNode({ ...rest, store, clock, fed: true });
  return {
    ...node,
    async stop() {
      await node.stop();
      if (given === undefined) await store.close();
      folder.remove();
    },
  };
}

function embedded(folder: string, clock: HandClock) {
  const storeClock = { now: clock.now, monotonic: () => performance.now() };
  return { folder, role: "gateway", clock: storeClock } as const;
}

type NodeOptions = Partial<AuthorityOptions> & {
  readonly store: Store;
  readonly clock: HandClock;
  readonly fed: boolean;
};

async function startNode(options: NodeOptions): Promise<TestAuthority> {
  const { store, clock, fed, secret = Buffer.alloc(32, 7), ...rest } = options;
  const authority = await createAuthority({
    issuer: () => "https://gatehouse.test",
    audience: () => "https://gatehouse.test/api",
    passwords: { parameters: cheapScrypt, workers: 1 },
    ...rest,
    store,
    clock,
    secret,
  });
  const others: TestAuthority[] = [];
  const feed = fed ? await feedFrom(store, authority, clock) : undefined;
  return {
    authority,
    store,
    clock,
    secret,
    owner: () => owner(authority),
    user: (username) => userWithLogin(authority, username),
    open: (userId, more) => openSession(authority, clock, userId, more),
    principal: (accessToken, peer = home) => principal(authority, accessToken, peer),
    async another({ fed: otherFed = true } = {}) {
      const other = await startNode({ ...rest, store, clock, secret, fed: otherFed });
      others.push(other);
      return other;
    },
    async stop() {
      for (const other of others) await other.stop();
      await feed?.stop();
      await authority.close();
    },
  };
}

/** As the server's revocation feed, without its supervision. */
async function feedFrom(
  store: Store,
  authority: Authority,
  clock: HandClock,
): Promise<Pick<LogFollower, "stop">> {
  const { apply, logBroke, setFeed, lease } = authority.revocation;
  const follower = store.follow(clock.now() - 3_600_000, apply, logBroke);
  const { since } = await follower.caughtUp;
  setFeed({ since, follower });
  void lease.beat();
  const beating = setInterval(() => void lease.beat(), 200);
  await lease.started;
  return {
    async stop() {
      clearInterval(beating);
      await follower.stop();
    },
  };
}

async function owner(authority: Authority): Promise<User> {
  const present = (await authority.users.list()).find((user) => user.isOwner);
  if (present !== undefined) return present;
  const setupCode = await authority.onboarding.setupCode();
  return authority.onboarding.createOwner({ setupCode, ...ownerLogin });
}

async function userWithLogin(authority: Authority, username: string) {
  const user = await authority.localLogins.createUser({
    name: username,
    username,
    password: ownerLogin.password,
    groupIds: ["system-users"],
  });
  const [credential] = await authority.credentials.list(user.id);
  if (credential === undefined) throw new Error("a new user has no credential");
  return { user, credential };
}

/** Opens a session of the user as a login does. */
export async function openSession(
  authority: Authority,
  clock: HandClock,
  userId: string,
  more: Partial<NewSession> = {},
) {
  const standing = await authority.users.read(userId);
  if (standing === undefined) throw new Error(`no user ${userId}`);
  const [credential = null] = await authority.credentials.list(userId);
  return authority.sessions.open({
    user: standing.user,
    userVersion: standing.version,
    userEpoch: standing.epoch,
    credential,
    clientId: "https://app.example/",
    clientName: null,
    rotates: true,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: clock.now(),
    peer: home,
    ...more,
  });
}

async function principal(authority: Authority, accessToken: string, peer: Peer): Promise<Principal> {
  const verdict = await authority.authentication.authenticate(accessToken, peer);
  if (!verdict.ok) throw new Error(`refused: ${verdict.reason}`);
  return verdict.principal;
}
