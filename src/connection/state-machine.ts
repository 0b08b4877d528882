/**
 * One socket's life as a table. `open`: nobody is authenticated and no token is being checked; login messages are
 * answered. `closing`: this side has ended it; nothing is read and nothing is sent any more.
 */
export type State = "open" | "authenticating" | "ready" | "closing" | "closed";

export type Input =
  /** Before `auth_ok`, a message that is no object, has no string type, or is an `auth` of the wrong shape. */
  | "malformed"
  /** Before `auth_ok`, a type that is neither `auth` nor a login message. */
  | "foreign"
  | "login"
  | "auth"
  /** A login on this socket finished with a session. */
  | "granted"
  /** The principal is in the hub's index and the last check found nothing. */
  | "admitted"
  /** This side ends it: refusal, deadline, cut-off, limit, stop. */
  | "end"
  /** The transport says that the socket is gone. */
  | "lost";

export type Effect =
  | "none"
  /** `auth_invalid`, then the close code of the name. */
  | "refuse_malformed"
  | "refuse_foreign"
  /** Answer the login message with a `result`. */
  | "answer"
  /** Have the token checked. */
  | "check"
  /** Keep the message until the token has been checked: a client may send on without waiting for `auth_ok`. */
  | "buffer"
  /** `auth_ok`; commands from here on. */
  | "welcome"
  | "dispatch"
  /** Release everything and close with the code that comes with the input. */
  | "close"
  /** Release everything; there is nobody to tell. */
  | "release";

export interface Transition {
  readonly to: State;
  readonly effect: Effect;
}

const go = (to: State, effect: Effect): Transition => Object.freeze({ to, effect });

const ended = (state: State): Record<Input, Transition> => {
  const stay = go(state, "none");
  return {
    malformed: stay,
    foreign: stay,
    login: stay,
    auth: stay,
    granted: stay,
    admitted: stay,
    end: stay,
    lost: go("closed", "none"),
  };
};

const held = go("authenticating", "buffer");
const command = go("ready", "dispatch");
const ready = go("ready", "none");
const end = go("closing", "close");
const lost = go("closed", "release");

export const table: Readonly<Record<State, Readonly<Record<Input, Transition>>>> = {
  open: {
    malformed: go("closing", "refuse_malformed"),
    foreign: go("closing", "refuse_foreign"),
    login: go("open", "answer"),
    auth: go("authenticating", "check"),
    granted: go("authenticating", "check"),
    admitted: go("open", "none"),
    end,
    lost,
  },
  authenticating: {
    malformed: held,
    foreign: held,
    login: held,
    auth: go("closing", "refuse_foreign"),
    granted: go("authenticating", "none"),
    admitted: go("ready", "welcome"),
    end,
    lost,
  },
  ready: {
    malformed: command,
    foreign: command,
    login: command,
    auth: command,
    granted: ready,
    admitted: ready,
    end,
    lost,
  },
  closing: ended("closing"),
  closed: ended("closed"),
};

/** Pure; two look-ups, no allocation. */
export function transition(state: State, input: Input): Transition {
  return table[state][input];
}
