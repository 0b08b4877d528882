import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { AssuranceLevel, Principal, Session } from "../model.ts";
import type { Sessions } from "./sessions.ts";

export const defaultRecentLoginMs = 15 * 60_000;

/**
 * What a demand is set for. By the first four somebody who found an unlocked device could take the account over. The fifth
 * gives a token that outlives its session. By the others an administrator gives rights to others.
 */
export const stepUpActions = [
  "owner_transfer",
  "second_factors",
  "credentials",
  "device_approval",
  "long_lived_tokens",
  "group_policy",
  "user_rights",
  "approvals",
] as const;
export type StepUpAction = (typeof stepUpActions)[number];

/** `off`: nothing. `second_factor`: a recent login, of assurance level 2. */
export type StepUpSetting = "off" | "recent_login" | "second_factor";
export type StepUpSettings = Readonly<Record<StepUpAction, StepUpSetting>>;

export const defaultStepUpSettings: StepUpSettings = {
  owner_transfer: "recent_login",
  second_factors: "recent_login",
  credentials: "recent_login",
  device_approval: "recent_login",
  long_lived_tokens: "recent_login",
  group_policy: "recent_login",
  user_rights: "recent_login",
  approvals: "recent_login",
};

/** What services do for an administrator. They have no person who could log in again. */
const openToServices: ReadonlySet<StepUpAction> = new Set(["group_policy", "user_rights", "approvals"]);

/** What a session must have for a command. */
export interface StepUpDemand {
  readonly level: AssuranceLevel;
  /** How old the login may be, ms. */
  readonly maxAgeMs: number;
}

const withSecondFactor = "Log in again, with a second factor, to do this";

/**
 * The session's person must log in again. `canStepUp`: on the session itself. A long-lived or a system token has nobody who
 * could.
 */
export class StepUpRequired extends AuthError {
  readonly demand: StepUpDemand;
  readonly canStepUp: boolean;

  constructor(demand: StepUpDemand, canStepUp: boolean) {
    super("recent_login_required", demand.level === 2 ? { publicMessage: withSecondFactor } : {});
    this.name = "StepUpRequired";
    this.demand = demand;
    this.canStepUp = canStepUp;
  }
}

type Proved = Pick<Session, "assurance" | "amr" | "authenticatedAt">;

/**
 * The rule for what needs a recent login. A refresh is no login, and neither is the use of a long-lived or a system token,
 * nor a login that proved nothing of the person (trusted networks: no authentication method).
 */
export interface StepUps {
  /**
   * Throws `StepUpRequired`. The session may have been raised since its token was issued: its record is read then. Call it
   * before anything is changed, because a command that waited runs again from its beginning.
   */
  require(
    action: StepUpAction,
    principal: Pick<Principal, "sessionId" | "sessionType"> & Proved,
  ): Promise<void>;
}

export interface StepUpOptions {
  readonly clock: Clock;
  readonly sessions: Pick<Sessions, "get">;
  /** How long a login counts as recent, ms; 15 minutes by default. */
  readonly windowMs?: number | undefined;
  readonly settings?: Partial<StepUpSettings> | undefined;
}

export function createStepUps(options: StepUpOptions): StepUps {
  const { clock, sessions, windowMs: maxAgeMs = defaultRecentLoginMs } = options;
  const settings = { ...defaultStepUpSettings, ...options.settings };
  const meets = ({ assurance, amr, authenticatedAt }: Proved, { level }: StepUpDemand) => {
    // A time further ahead than this was read from a clock that was wrong, so it proves nothing.
    const recent = Math.abs(clock.now() - authenticatedAt) <= maxAgeMs;
    return recent && amr.length > 0 && assurance >= level;
  };
  return {
    async require(action, principal) {
      const setting = settings[action];
      if (setting === "off") return;
      const demand: StepUpDemand = { level: setting === "second_factor" ? 2 : 1, maxAgeMs };
      if (principal.sessionType !== "normal") {
        if (openToServices.has(action)) return;
        throw new StepUpRequired(demand, false);
      }
      if (meets(principal, demand)) return;
      const session = await sessions.get(principal.sessionId);
      if (session === undefined || !meets(session, demand)) throw new StepUpRequired(demand, true);
    },
  };
}

/** From the lowest. */
export const assuranceLevels: readonly AssuranceLevel[] = [1, 2];

/** As the wire names assurance levels. */
export function acrOf(level: AssuranceLevel): "aal1" | "aal2" {
  return level === 2 ? "aal2" : "aal1";
}
