import type { Dialect } from "./dialects.ts";
import { binaryFrame, RawSocket, textFrame } from "./raw-socket.ts";

/** What a client sends for one token, built before the clock runs. */
export interface Script {
  /** A function if the frame depends on what the server has sent. */
  readonly frames: readonly (Buffer | ((last: string) => Buffer) | undefined)[];
  readonly untils: readonly string[];
}

export function scriptOf(dialect: Dialect, token: string): Script {
  const frameOf = dialect.binary === true ? binaryFrame : textFrame;
  return {
    frames: dialect.exchange.map(({ send, reply }) => {
      if (reply !== undefined) return (last) => frameOf(reply(token, last));
      return send === undefined ? undefined : frameOf(send(token));
    }),
    untils: dialect.exchange.map(({ until }) => until),
  };
}

/** Beyond every source address of `RawSocket`, for connections to another port. */
const ELSEWHERE = 32;

/**
 * Connects, upgrades and runs the script; resolves to the authenticated socket. Rejects if it closes before. `nth`
 * counts the connections of this process.
 */
export function authenticate(
  { port, dialect }: { readonly port: number; readonly dialect: Dialect },
  script: Script,
  nth: number,
): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    const socket = new RawSocket({ port, ...dialect }, nth);
    let step = 0;
    let last = "";
    const send = () => {
      const frame = script.frames[step];
      if (frame !== undefined) socket.send(typeof frame === "function" ? frame(last) : frame);
    };
    socket.onOpen = send;
    socket.onText = (text) => {
      last = text;
      if (!text.includes(script.untils[step] ?? "")) return;
      step += 1;
      if (step < script.untils.length) return send();
      socket.onText = ignore;
      resolve(socket);
    };
    socket.onClose = (code, fault) => {
      // Another process of this machine uses the source port.
      if (fault === "EADDRINUSE" || fault === "EADDRNOTAVAIL")
        return resolve(authenticate({ port, dialect }, script, nth + ELSEWHERE));
      reject(new Error(`closed with ${fault ?? code} before it was authenticated: ${last}`));
    };
  });
}

function ignore(): void {}
