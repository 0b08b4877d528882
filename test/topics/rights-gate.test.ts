import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { createLogProgress } from "../../src/auth/revocation/log-progress.ts";
import type { Message } from "../../src/topics/broker.ts";
import { gateLimits, RightsGate } from "../../src/topics/rights-gate.ts";

function messageOf(sequence: number, rightsVersion: number, isOwn = false): Message {
  const publisher = { userId: "u", isSystem: false };
  const position = { epoch: "e", sequence };
  return { topic: "a", data: 1, bytes: 1, time: 0, publisher, rightsVersion, position, isOwn };
}

function setUp() {
  const progress = createLogProgress((error) => {
    throw error;
  });
  const passed: number[] = [];
  const lost: number[] = [];
  const gate = new RightsGate({
    progress,
    monotonic: () => Date.now(),
    onPassed: ({ position }) => passed.push(position.sequence),
    onLost: ({ position }) => lost.push(position.sequence),
  });
  const read = (version: number) => {
    progress.read(version);
    progress.notify();
  };
  return { gate, passed, lost, read, progress };
}

describe("messages from a node that knows more of the log", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("wait until this node has read as much, and what comes behind them keeps its order", () => {
    const { gate, passed, lost, read } = setUp();
    read(10);
    gate.add(messageOf(1, 10));
    gate.add(messageOf(2, 20));
    gate.add(messageOf(3, 10));
    gate.add(messageOf(4, 30));
    gate.add(messageOf(5, 0, true));
    expect(passed).toEqual([1]);
    read(20);
    expect(passed).toEqual([1, 2, 3]);
    read(30);
    expect([passed, lost]).toEqual([[1, 2, 3, 4, 5], []]);
  });

  it("are not let through by an own commit that is newer, because entries before it may be missing", () => {
    const { gate, passed, progress } = setUp();
    progress.changed(50);
    gate.add(messageOf(1, 40));
    progress.notify();
    expect(passed).toEqual([]);
  });

  it("keep their order with what is told between them", () => {
    const { gate, passed, lost, read } = setUp();
    const told: string[] = [];
    gate.inOrder(() => told.push("nothing waits"));
    gate.add(messageOf(1, 10));
    gate.inOrder(() => told.push(`after ${passed}`));
    gate.add(messageOf(2, 10));
    gate.add(messageOf(3, 40));
    gate.inOrder(() => told.push(`lost ${lost}`));
    expect(told).toEqual(["nothing waits"]);
    read(10);
    expect([told, passed]).toEqual([
      ["nothing waits", "after 1"],
      [1, 2],
    ]);
    vi.advanceTimersByTime(gateLimits.waitMs);
    expect(told).toEqual(["nothing waits", "after 1", "lost 3"]);
  });

  it("that were kept are not handed out before this node has read as much, for as long as a message waits", async () => {
    const { gate, read } = setUp();
    read(10);
    const kept = [messageOf(1, 10), messageOf(2, 40), messageOf(3, 90, true)];
    expect(await gate.whenMayPass(kept.slice(0, 1))).toBe(true);
    const answers: boolean[] = [];
    const ask = () => gate.whenMayPass(kept).then((answer) => answers.push(answer));
    const first = ask();
    await vi.advanceTimersByTimeAsync(gateLimits.waitMs - 1);
    read(39);
    await vi.advanceTimersByTimeAsync(0);
    expect(answers).toEqual([]);
    read(40);
    await first;
    expect(answers).toEqual([true]);
    const late = gate.whenMayPass([messageOf(4, 50)]);
    await vi.advanceTimersByTimeAsync(gateLimits.waitMs);
    expect(await late).toBe(false);
  });

  it("are lost, and told, if the log stays behind, and if there are too many", () => {
    const { gate, passed, lost, read } = setUp();
    gate.add(messageOf(1, 40));
    vi.advanceTimersByTime(gateLimits.waitMs / 2);
    gate.add(messageOf(2, 50));
    vi.advanceTimersByTime(gateLimits.waitMs / 2);
    expect([passed, lost]).toEqual([[], [1]]);
    for (let n = 3; n <= gateLimits.messages + 3; n += 1) gate.add(messageOf(n, 50));
    expect(lost).toEqual([1, 2, 3]);
    read(50);
    expect(passed).toHaveLength(gateLimits.messages);
    vi.advanceTimersByTime(10 * gateLimits.waitMs);
    expect(lost).toHaveLength(3);
    gate.close();
  });
});
