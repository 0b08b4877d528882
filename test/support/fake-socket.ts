import type { Frame } from "../../src/codec/codec.ts";
import type { SendResult, Socket, SocketHandler } from "../../src/connection/socket.ts";

/** A socket in memory that records what was sent. The test sets its capacity and ends it. */
export interface FakeSocket extends Socket {
  readonly frames: Frame[];
  /** The JSON messages of `frames`. */
  readonly messages: readonly unknown[];
  readonly pings: number;
  readonly closedWith: { readonly code: number; readonly reason: string } | undefined;
  /** What `send` returns from now on. */
  answer: SendResult;
}

export function fakeSocket(): FakeSocket {
  const frames: Frame[] = [];
  let pings = 0;
  let closedWith: FakeSocket["closedWith"];
  return {
    answer: "sent",
    frames,
    get messages() {
      return frames.map((frame) => JSON.parse(String(frame)) as unknown);
    },
    get pings() {
      return pings;
    },
    get closedWith() {
      return closedWith;
    },
    bufferedBytes: 0,
    limitMessages: () => undefined,
    send(frame) {
      if (closedWith !== undefined) return "dropped";
      frames.push(frame);
      return this.answer;
    },
    sendShared(shared) {
      let result: SendResult = "sent";
      for (const frame of shared.frames) result = this.send(frame);
      return result;
    },
    ping() {
      pings += 1;
    },
    close(code, reason) {
      closedWith ??= { code, reason };
    },
    terminate() {
      closedWith ??= { code: 1006, reason: "" };
    },
  };
}

/** The transport's notification that the peer is gone. */
export function loseSocket(handler: SocketHandler): void {
  handler.closed(1006, "");
}
