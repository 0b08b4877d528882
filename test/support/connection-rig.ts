import type { Verdict } from "../../src/auth/authentication.ts";
import { AuthError } from "../../src/auth/errors.ts";
import type { Principal } from "../../src/auth/model.ts";
import type { DisabledSafeguards } from "../../src/auth/safeguards.ts";
import { LoopTurns } from "../../src/auth/scheduling/loop-turns.ts";
import { createJsonCodec } from "../../src/codec/json.ts";
import type { Command, Dispatch } from "../../src/connection/command.ts";
import { type ConnectionsOptions, createConnections } from "../../src/connection/connections.ts";
import type { ConnectionObserver } from "../../src/connection/observer.ts";
import type { SocketHandler } from "../../src/connection/socket.ts";
import { createTimerWheel } from "../../src/connection/timer-wheel.ts";
import type { LoopBudget } from "../../src/net/loop-budget.ts";
import { type FakeSocket, fakeSocket } from "./fake-socket.ts";
import { handClock } from "./hand-clock.ts";
import { quietObserver } from "./quiet-log.ts";

type RigAuthority = ConnectionsOptions["authority"];

/** The parts that a test replaces. Any other part throws on access. */
export type RigParts = {
  readonly [Part in keyof RigAuthority]?: Partial<RigAuthority[Part]>;
};

export interface Client {
  readonly socket: FakeSocket;
  readonly handler: SocketHandler;
  /** Sends a message as JSON. */
  say(message: unknown): void;
  /** Messages received since the last call. */
  heard(): readonly unknown[];
}

/** Connections on hand-written parts of the domain, with sockets in memory and a manually advanced clock. */
export function connectionRig(
  parts: RigParts,
  options: {
    readonly commands?: readonly Command[];
    readonly limits?: ConnectionsOptions["limits"];
    readonly observer?: Partial<ConnectionObserver>;
    readonly policy?: ConnectionsOptions["policy"];
    readonly disabledSafeguards?: DisabledSafeguards;
    readonly loopBudget?: LoopBudget;
    /** How long commands may run before others get a turn, ms. Default: no limit, so that a test is answered at once. */
    readonly turnMs?: number;
    /** The same for the login messages of sockets. */
    readonly loginTurnMs?: number;
    /** Gets every log entry, at every level. */
    readonly log?: (entry: { readonly fields: object; readonly message: string }) => void;
  } = {},
) {
  const clock = handClock();
  const logged: { readonly fields: object; readonly message: string }[] = [];
  const info = (fields: object, message: string) => options.log?.({ fields, message });
  const note = (fields: object, message: string) => {
    logged.push({ fields, message });
    info(fields, message);
  };
  const untouched = (part: string) =>
    new Proxy(trusted[part as keyof RigParts] ?? {}, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (value === undefined) throw new Error(`${part}.${String(name)} was accessed`);
        return value;
      },
    });
  const { revocation } = parts;
  const trusted: RigParts = { ...parts, revocation: { view: alwaysTrusted, ...revocation } };
  const approvals = { onRequest: () => () => undefined, mayDecide: () => false };
  const untouchedParts = ["authentication", "logins", "sessions", "onboarding", "revocation", "users"];
  const authority = {
    ...Object.fromEntries(untouchedParts.map((part) => [part, untouched(part)])),
    approvals,
  } as unknown as RigAuthority;
  const wheel = createTimerWheel({ clock, onError: (error) => note({ err: error }, "timer") });
  const connections = createConnections({
    wheel,
    authority,
    codecs: [createJsonCodec()],
    dispatch: dispatchOf(options.commands ?? []),
    clock,
    log: { info, warn: note, error: note },
    metrics: { ...quietObserver, ...options.observer },
    policy: options.policy,
    loopBudget: options.loopBudget,
    commandTurns: new LoopTurns(options.turnMs ?? Number.POSITIVE_INFINITY),
    loginTurns: new LoopTurns(options.loginTurnMs ?? Number.POSITIVE_INFINITY),
    disabledSafeguards: options.disabledSafeguards,
    limits: options.limits,
  });
  const connect = (address = "192.168.1.7"): Client => {
    const request = {
      path: "/api/websocket",
      query: "",
      header: () => undefined,
      headerValues: () => [],
      address,
      subprotocols: [],
    };
    const admission = connections.checkUpgrade(request);
    if (!admission.accept) throw new AuthError("overloaded", { detail: String(admission.status) });
    const socket = fakeSocket();
    const handler = admission.handler(socket);
    let read = 0;
    return {
      socket,
      handler,
      say: (message) => handler.message(JSON.stringify(message)),
      heard() {
        const fresh = socket.messages.slice(read);
        read += fresh.length;
        return fresh;
      },
    };
  };
  const wind = (ms: number) => {
    clock.advance(ms);
    wheel.turn();
  };
  return { clock, connections, connect, logged, wind };
}

const alwaysTrusted = {
  trusted: true,
  followGeneration: 0,
  invalidationCount: 0,
  decidedRights: () => undefined,
  ownerChange: () => undefined,
  judge: () => ({ state: "live" }) as const,
};

function dispatchOf(commands: readonly Command[]): Dispatch {
  const byType = new Map(commands.map((command) => [command.type, command]));
  return (type) => byType.get(type);
}

/** A command that takes any fields. */
export function command(type: string, run: Command["run"]): Command {
  return { type, run };
}

export function admitted(principal: Principal): Verdict {
  return { ok: true, principal };
}

/** Resolves after pending promises and the current turn of the event loop. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
