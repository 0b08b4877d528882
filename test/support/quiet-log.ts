import type { ConnectionLog, ConnectionObserver } from "../../src/connection/observer.ts";

export const quietLog: ConnectionLog = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export const quietObserver: ConnectionObserver = {
  upgradeRefused: () => undefined,
  opened: () => undefined,
  authenticated: () => undefined,
  authRefused: () => undefined,
  answered: () => undefined,
  stepUp: () => undefined,
  lapsed: () => undefined,
  reviewed: () => undefined,
  closed: () => undefined,
};
